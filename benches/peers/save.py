#!/usr/bin/env python3
"""An image of a layout into an archive: in Docker's form, with plain layers, beside skopeo and podman; in OCI's beside skopeo and containerd."""

import subprocess

from peers import Tool, Work, arguments, compare, ours
from services import Containerd

NAME = "localhost/peer:1"

options = arguments(__doc__, layout="an OCI layout with an image named latest: skopeo copy docker://debian:12 oci:LAYOUT:latest")
with Work() as work:
    image, save = f"{options.layout.resolve()}:latest", ours("save")
    stores, disk = work.disk(), work.disk(in_memory=True)
    skopeo = ["skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{image}"]
    podman = ["podman", "--root", f"{stores.path}/store", "--runroot", f"{work.path}/run", "--storage-driver", "vfs"]
    containerd = Containerd(work, stores)
    archive = f"{disk.path}/archive.tar"
    docker = [
        Tool("image-toolkit", [save, image, archive], before=disk.renew),
        Tool("skopeo copy oci: docker-archive:", [*skopeo, f"docker-archive:{archive}:{NAME}"], ["skopeo"], disk.renew),
        Tool("podman save", [*podman, "save", "--quiet", "--output", archive, NAME], ["podman"], disk.renew),
    ]
    oci = [
        Tool("image-toolkit", [save, "--format", "oci", image, archive], before=disk.renew),
        Tool("skopeo copy oci: oci-archive:", [*skopeo, f"oci-archive:{archive}:{NAME}"], ["skopeo"], disk.renew),
        Tool("ctr images export", [*containerd.client, "images", "export", archive, NAME], containerd.needs(), disk.renew, containerd),
    ]

    # Podman and containerd save what they have in stores of their own.
    given = work.path / "given.tar"
    subprocess.run([ours("copy"), image, f"{work.path}/layout:{NAME}"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([save, "--format", "oci", f"{work.path}/layout:{NAME}", given], check=True, stdout=subprocess.DEVNULL)
    stores.renew()
    if not docker[2].missing():
        subprocess.run([*podman, "load", "--quiet", "--input", given], check=True, stdout=subprocess.DEVNULL)
    compare("save", docker, options)
    if not oci[2].missing():
        containerd.renew()
        containerd.run("images", "import", "--no-unpack", str(given))
    if options.svg:
        options.svg = options.svg.with_stem(f"{options.svg.stem}-oci")
    compare("save as OCI", oci, options)
