#!/usr/bin/env python3
"""A build of a few files of which nothing changed since the last one: beside the builder of Docker Engine, as one waits for it."""

from peers import Tool, Work, arguments, compare, ours
from services import Docker

FILES = 20

options = arguments(__doc__)
with Work() as work:
    context = work.path / "context"
    context.mkdir()
    for number in range(FILES):
        (context / f"file-{number}").write_text(f"content {number}\n" * 50)
    copies = [f"COPY file-{number} /app/" for number in range(FILES)]
    (context / "Dockerfile").write_text("\n".join(["FROM scratch", "ENV A=b", "WORKDIR /app", *copies, 'CMD ["/app/start"]', ""]))
    docker = Docker(work, work.disk(), context)
    tools = [
        Tool("image-toolkit", [ours("build"), "--progress", "plain", "-o", f"{work.path}/out", str(context)]),
        Tool("BuildKit in dockerd", docker.build(), docker.needs(), daemon=docker),
    ]
    if not tools[1].missing():
        docker.renew()
    compare("cached build of a few files", tools, options)
