#!/usr/bin/env python3
"""An unpacked image of which one file in a hundred was changed, as a new layer: beside umoci. Both know what the unpacked files held, and from that what was changed."""

import os
import shutil
import subprocess

from peers import Tool, Work, arguments, compare, edit, ours

options = arguments(__doc__, layout="an OCI layout with an image named latest: skopeo copy docker://debian:12 oci:LAYOUT:latest")
with Work() as work:
    disk, layout = work.disk(), options.layout.resolve()
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    disk.renew()
    tree, bundle = disk.path / "tree", disk.path / "bundle"
    copies = [disk.path / "ours", disk.path / "theirs"]

    def renew(copy):
        """The layout as it was, so that no layer is there already."""
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", layout, copy], check=True)

    renew(copies[0])
    subprocess.run([ours("unpack"), "--cache", disk.path / "kept", f"{copies[0]}:latest", tree], **quiet)
    edit(tree)
    tools = [
        Tool("image-toolkit", [ours("commit"), "--cache", disk.path / "kept", f"{copies[0]}:latest", tree, "changed"], before=lambda: renew(copies[0])),
        Tool("umoci repack", ["umoci", "repack", "--image", f"{copies[1]}:changed", bundle], ["umoci"], lambda: renew(copies[1])),
    ]
    if not tools[1].missing():
        renew(copies[1])
        subprocess.run(["umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{copies[1]}:latest", bundle], **quiet)
        edit(bundle / "rootfs")
    subprocess.run(["sync"], check=True)
    compare("commit", tools, options)
