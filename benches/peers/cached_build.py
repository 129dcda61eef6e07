#!/usr/bin/env python3
"""A build of which nothing changed since the last one: beside buildah with its layer cache."""

import time

from peers import Tool, Work, arguments, compare, ours

options = arguments(__doc__, context="a build context", file="a Dockerfile that begins FROM scratch and has no RUN")
with Work() as work:
    out, store = work.path / "out", ["--root", f"{work.path}/store", "--runroot", f"{work.path}/run"]
    build = [ours("build"), "--progress", "plain", "-f", str(options.file), "-o", str(out), str(options.context)]
    bud = ["buildah", *store, "bud", "--layers", "--isolation", "chroot", "-f", str(options.file), "-t", "peer", str(options.context)]
    first = Tool("image-toolkit", build)
    first.run()
    time.sleep(4)  # What is too young is read again.
    compare("cached build", [Tool("image-toolkit", build), Tool("buildah bud --layers", bud, ["buildah"])], options)
