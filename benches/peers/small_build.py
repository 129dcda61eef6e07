#!/usr/bin/env python3
"""A build of a few files of which nothing changed since the last one: beside the builder of Docker Engine, as its client waits for it."""

import subprocess

from peers import Tool, Work, arguments, compare, ours
from services import Docker

FILES = 20

options = arguments(__doc__)
with Work() as work:
    context, docker = work.path / "context", Docker(work, work.disk())
    context.mkdir()
    for number in range(FILES):
        (context / f"file-{number}").write_text(f"content {number}\n" * 50)
    copies = [f"COPY file-{number} /app/" for number in range(FILES)]
    (context / "Dockerfile").write_text("\n".join(["FROM scratch", "ENV A=b", "WORKDIR /app", *copies, 'CMD ["/app/start"]', ""]))
    build = [ours("build"), "--progress", "plain", "-o", f"{work.path}/out", str(context)]
    tools = [
        Tool("image-toolkit", build),
        Tool("docker build, BuildKit", [*docker.client, "build", "--quiet", "--tag", "peer", str(context)], docker.needs(), daemon=docker),
    ]
    if not tools[1].missing():
        docker.renew()
        # A client without its plugin for BuildKit asks for the older builder, which the engine still has.
        if subprocess.run(tools[1].command, capture_output=True).returncode != 0:
            tools[1].name, tools[1].command = "docker build, older builder", ["env", "DOCKER_BUILDKIT=0", *tools[1].command[2:]]
    compare("cached build of a few files", tools, options)
