#!/usr/bin/env python3
"""An archive of docker save into a layout, layers as they are: beside skopeo, which makes a directory of blobs of it, podman and containerd.
Then the same with its layers compressed, beside skopeo."""

from peers import Tool, Work, arguments, compare, ours
from services import Containerd

options = arguments(__doc__, archive="an archive: docker save debian:12 -o ARCHIVE")
with Work() as work:
    disk, archive = work.disk(in_memory=True), options.archive.resolve()
    skopeo = ["skopeo", "--insecure-policy", "copy", "--quiet", f"docker-archive:{archive}"]
    podman = ["podman", "--root", f"{disk.path}/store", "--runroot", f"{work.path}/run", "--storage-driver", "vfs"]
    containerd = Containerd(work, disk)
    ctr = [*containerd.client, "images", "import", "--no-unpack", str(archive)]

    def renew():
        containerd.close()
        disk.renew()

    compare("load", [
        Tool("image-toolkit", [ours("load"), str(archive), f"{disk.path}/layout"], before=renew),
        Tool("skopeo copy docker-archive: dir:", [*skopeo, f"dir:{disk.path}/dir"], ["skopeo"], renew),
        Tool("podman load", [*podman, "load", "--input", str(archive)], ["podman"], renew),
        Tool("ctr images import --no-unpack", ctr, containerd.needs(), containerd.renew, containerd),
    ], options)
    if options.svg:
        options.svg = options.svg.with_stem(f"{options.svg.stem}-gzip")
    load = [ours("load"), str(archive), f"{disk.path}/layout", "--compression"]
    compare("load, compressed with gzip", [
        Tool("image-toolkit, gzip:3", [*load, "gzip:3"], before=renew),
        Tool("image-toolkit, gzip:4", [*load, "gzip:4"], before=renew),
        Tool("skopeo copy docker-archive: oci:", [*skopeo, f"oci:{disk.path}/oci:x"], ["skopeo"], renew),
    ], options)
