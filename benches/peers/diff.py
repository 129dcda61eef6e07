#!/usr/bin/env python3
"""What has to be laid over one directory to make it another, as a compressed layer: beside umoci and containerd, which keep what they compare in forms of their own, and rsync, which copies the files that differ and writes no layer."""

import json
import os
import shlex
import subprocess

from peers import Tool, Work, arguments, compare, ours
from services import Containerd

NAME = "localhost/peer:1"

options = arguments(__doc__, lower="a root file system", upper="the same, changed")
quiet = {"check": True, "stdout": subprocess.DEVNULL}
with Work() as work:
    lower, upper = options.lower.resolve(), options.upper.resolve()
    disk, stores, layout = work.disk(), work.disk(), work.path / "layout"
    containerd, bundle, mounted = Containerd(work, stores), disk.path / "bundle", work.path / "mounted"
    become = f"rsync --archive --hard-links --acls --xattrs --numeric-ids --delete {shlex.quote(str(upper))}/"
    tools = [
        Tool("image-toolkit", [ours("diff"), lower, upper, "--output", f"{disk.path}/layer.tar.gz"]),
        Tool("umoci repack", ["umoci", "repack", "--image", f"{layout}:new", bundle], ["umoci", "rsync"]),
        Tool("ctr snapshots diff", f"{shlex.join([*containerd.client, 'snapshots', 'diff', 'changed'])} >{disk.path}/by-containerd",
             ["rsync", *containerd.needs()], daemon=containerd),
        Tool("rsync --compare-dest", f"{become} --compare-dest={shlex.quote(str(lower))}/ {disk.path}/differs/", ["rsync"],
             lambda: subprocess.run(["rm", "-rf", f"{disk.path}/differs"], check=True)),
    ]
    if os.geteuid() != 0:
        raise SystemExit("root is needed, to lay out what the others compare")
    disk.renew()
    subprocess.run([ours("import"), lower, f"{layout}:{NAME}"], **quiet)
    if not tools[1].missing():
        subprocess.run(["umoci", "tag", "--image", f"{layout}:{NAME}", "lower"], **quiet)
        subprocess.run(["umoci", "unpack", "--image", f"{layout}:lower", bundle], **quiet)
        subprocess.run(f"{become} {bundle}/rootfs/", shell=True, check=True)
    if not tools[2].missing():
        subprocess.run([ours("save"), "--format", "oci", f"{layout}:{NAME}", f"{work.path}/lower.oci"], **quiet)
        containerd.renew()
        containerd.run("images", "import", f"{work.path}/lower.oci")
        described = json.loads(subprocess.run([ours("inspect"), "--json", f"{layout}:{NAME}"], check=True, capture_output=True).stdout)
        containerd.run("snapshots", "prepare", "changed", described["layers"][0]["diffId"])
        mounted.mkdir()
        mount = subprocess.run([*containerd.client, "snapshots", "mounts", mounted, "changed"], check=True, capture_output=True, text=True).stdout
        subprocess.run(mount, shell=True, check=True)
        try:
            subprocess.run(f"{become} {mounted}/", shell=True, check=True)
        finally:
            subprocess.run(["umount", mounted], check=True)
    compare("diff", tools, options)
    if options.svg:
        options.svg = options.svg.with_stem(f"{options.svg.stem}-list")
    compare("diff, a list alone", [
        Tool("image-toolkit", [ours("diff"), lower, upper]),
        Tool("rsync --dry-run --delete", f"{become} --dry-run --itemize-changes {shlex.quote(str(lower))}/", ["rsync"]),
        Tool("rsync -an --delete, no attributes", f"rsync -ani --delete {shlex.quote(str(upper))}/ {shlex.quote(str(lower))}/", ["rsync"]),
    ], options)
