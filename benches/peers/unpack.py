#!/usr/bin/env python3
"""An image's layers onto a plain tree: beside umoci, GNU tar layer by layer, which verifies nothing and obeys no whiteout, and containerd, which unpacks them one over the other for overlayfs."""

import json
import shlex
import subprocess

from peers import Tool, Work, arguments, compare, ours
from services import Containerd

NAME = "localhost/peer:1"


def layers(layout, ref):
    """The files of a single image's layers."""
    def blob(descriptor):
        return layout / "blobs" / descriptor["digest"].replace(":", "/")

    entries = json.loads((layout / "index.json").read_text())["manifests"]
    named = [entry for entry in entries if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == ref]
    return [blob(layer) for layer in json.loads(blob(named[0]).read_text())["layers"]]


options = arguments(__doc__, layout="an OCI layout with an image named latest: skopeo copy docker://debian:12 oci:LAYOUT:latest")
with Work() as work:
    disk, layout = work.disk(), options.layout.resolve()
    extract = "tar --extract --numeric-owner --same-permissions --xattrs --directory"

    def by_tar(how=""):
        files = [shlex.quote(str(layer)) for layer in layers(layout, "latest")]
        return f"mkdir {disk.path}/tree && " + " && ".join(f"{extract} {disk.path}/tree {how} --file {file}" for file in files)

    is_gzip = layers(layout, "latest")[0].open("rb").read(2) == b"\x1f\x8b"
    containerd, archive = Containerd(work, work.disk()), work.path / "image.tar"

    def imported():
        containerd.renew()
        containerd.run("images", "import", "--no-unpack", str(archive))
        images = subprocess.run([*containerd.client, "images", "list"], check=True, capture_output=True, text=True).stdout
        digest = next(word for word in images.split() if word.startswith("sha256:"))
        ctr.command = [*containerd.client, "snapshots", "unpack", digest]

    ctr = Tool("ctr snapshots unpack", [], containerd.needs(), imported, containerd)
    if not ctr.missing():
        subprocess.run([ours("copy"), f"{layout}:latest", f"{work.path}/layout:{NAME}"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([ours("save"), "--format", "oci", f"{work.path}/layout:{NAME}", archive], check=True, stdout=subprocess.DEVNULL)
    of_gzip = [  # umoci 0.4 reads no other layers.
        Tool("umoci unpack", ["umoci", "unpack", "--image", f"{layout}:latest", f"{disk.path}/bundle"], ["umoci"], disk.renew),
        Tool("GNU tar with igzip, layer by layer", by_tar("--use-compress-program=igzip"), ["tar", "igzip"], disk.renew),
    ]
    compare("unpack", [
        Tool("image-toolkit", [ours("unpack"), f"{layout}:latest", f"{disk.path}/tree"], before=disk.renew),
        ctr,
        Tool("GNU tar, layer by layer", by_tar(), ["tar", "gzip" if is_gzip else "zstd"], disk.renew),
        *(of_gzip if is_gzip else []),
    ], options)
