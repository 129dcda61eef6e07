#!/usr/bin/env python3
"""One file out of an image, of which it is kept from the last time what the layers hold: beside umoci, which unpacks the image."""

import os

from peers import Tool, Work, arguments, compare, ours

options = arguments(
    __doc__,
    layout="an OCI layout with an image named latest: skopeo copy docker://debian:12 oci:LAYOUT:latest",
    file="the path of a file in it",
)
with Work() as work:
    disk, image = work.disk(), f"{options.layout.resolve()}:latest"
    unpack = ["umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", image, f"{disk.path}/bundle"]
    compare("cat", [
        Tool("image-toolkit", [ours("cat"), "--cache", f"{work.path}/kept", image, str(options.file)], before=disk.renew),
        Tool("umoci unpack", unpack, ["umoci"], disk.renew),
    ], options)
