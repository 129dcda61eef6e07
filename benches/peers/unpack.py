#!/usr/bin/env python3
"""An image's layers onto a plain tree: beside umoci, and GNU tar layer by layer, which verifies nothing and obeys no whiteout."""

import json
import shlex

from peers import Tool, Work, arguments, compare, ours


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
    by_tar = [f"{extract} {disk.path}/tree --file {shlex.quote(str(layer))}" for layer in layers(layout, "latest")]
    compare("unpack", [
        Tool("image-toolkit", [ours("unpack"), f"{layout}:latest", f"{disk.path}/tree"], before=disk.renew),
        Tool("umoci unpack", ["umoci", "unpack", "--image", f"{layout}:latest", f"{disk.path}/bundle"], ["umoci"], disk.renew),
        Tool("GNU tar, layer by layer", f"mkdir {disk.path}/tree && " + " && ".join(by_tar), ["tar", "gzip"], disk.renew),
    ], options)
