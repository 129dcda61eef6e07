#!/usr/bin/env python3
"""A build of which nothing changed since the last one, and one of which a file changed: beside buildah with its layer cache."""

import shutil
import subprocess
import time

from peers import Tool, Work, arguments, compare, ours

options = arguments(
    __doc__,
    context="a build context",
    file="a Dockerfile that begins FROM scratch and has no RUN",
    edit="the path of a file in the context that a COPY takes",
)
with Work() as work:
    # A copy, since a file of it is changed.
    context, out = work.path / "context", work.path / "out"
    shutil.copytree(options.context, context, symlinks=True)
    subprocess.run(["sync"], check=True)
    store = ["--root", f"{work.path}/store", "--runroot", f"{work.path}/run"]
    build = [ours("build"), "--progress", "plain", "-f", str(options.file.resolve()), "-o", str(out), str(context)]
    bud = ["buildah", *store, "bud", "--layers", "--isolation", "chroot", "-f", str(options.file.resolve()), "-t", "peer", str(context)]

    def edit():
        with open(context / options.edit, "ab") as file:
            file.write(b"\n")

    tools = [Tool("image-toolkit", build), Tool("buildah bud --layers", bud, ["buildah"])]
    tools[0].run()
    time.sleep(4)  # What is too young is read again.
    compare("cached build", tools, options)
    if options.svg:
        options.svg = options.svg.with_stem(f"{options.svg.stem}-edit")
    compare("build after an edit", [Tool(tool.name, tool.command, tool.needs, edit) for tool in tools], options)
