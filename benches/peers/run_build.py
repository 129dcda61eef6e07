#!/usr/bin/env python3
"""A build with commands (RUN), from nothing and when nothing has changed: beside buildah with its layer cache and Docker's BuildKit."""

import shutil
import subprocess

from peers import Tool, Work, arguments, compare, ours
from services import Docker

QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


options = arguments(
    __doc__,
    context="a build context, whose Dockerfile begins FROM the base and has RUN",
    base="a layout with the base",
    name="the base's name in the Dockerfile, LAYOUT's latest",
)
with Work() as work:
    name, out, state = str(options.name), work.path / "out", work.path / "state"
    context, layout = options.context.resolve(), options.base.resolve()
    build = [ours("build"), "--progress", "plain", "--build-context", f"{name}=oci-layout://{layout}:latest"]
    build += ["-o", str(out), "--cache", str(state), str(context)]

    # overlay needs a directory that is on no overlay itself; each tool has the base before it is timed.
    store = ["--storage-driver", "overlay", "--root", f"{work.path}/store", "--runroot", f"{work.path}/run"]
    place = f"containers-storage:[overlay@{work.path}/store+{work.path}/run]{name}"
    skopeo = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    subprocess.run([*skopeo, f"oci:{layout}:latest", place], check=True)
    bud = ["buildah", *store, "bud", "--layers", "--isolation", "oci", "--runtime", "runc", "--network", "none", "--quiet"]
    bud += ["--pull-never", "-t", "peer", str(context)]

    archive = work.path / "base.tar"
    subprocess.run([*skopeo, f"oci:{layout}:latest", f"docker-archive:{archive}:{name}"], check=True)
    docker = Docker(work, work.disk(), context)
    if not Tool("", [], docker.needs()).missing():
        docker.renew()
        docker.run("load", "--quiet", "--input", str(archive))
    archive.unlink()

    def forget():
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)

    anew = [*build[:1], "--no-cache", *build[1:]]
    subprocess.run(build, check=True, **QUIET)
    compare("build with commands, all steps", [
        Tool("image-toolkit", anew),
        Tool("buildah bud --layers --no-cache", [*bud[:-1], "--no-cache", bud[-1]], ["buildah", "runc"]),
        Tool("BuildKit in dockerd, no cache", docker.build(nocache=1), docker.needs(), daemon=docker),
        Tool("image-toolkit, nothing there, base unpacked too", build, before=forget),
    ], options)
    compare("build with commands, nothing changed", [
        Tool("image-toolkit", build),
        Tool("buildah bud --layers", bud, ["buildah", "runc"]),
        Tool("BuildKit in dockerd", docker.build(), docker.needs(), daemon=docker),
    ], options)
