#!/usr/bin/env python3
"""A tree as a compressed layer of an image: beside GNU tar with a parallel compressor, which makes no digest."""

import shlex

from peers import Tool, Work, arguments, compare, ours

options = arguments(__doc__, tree="a root file system")
with Work() as work:
    disk, tree = work.disk(), options.tree.resolve()
    tar = f"tar --create --numeric-owner --xattrs --directory {shlex.quote(str(tree))} ."
    for form, ended, by in [("gzip", "gz", "pigz -6 -p2"), ("zstd", "zst", "zstd -q -3 -T2")]:
        target = f"{disk.path}/layer.tar.{ended}"
        compare(f"import, {form}", [
            Tool("image-toolkit", [ours("import"), "--compression", form, str(tree), f"{disk.path}/layout"], before=disk.renew),
            Tool(f"GNU tar | {by}", f"{tar} | {by} >{target}", ["tar", by.split()[0]], disk.renew),
        ], options)
        if options.svg:
            options.svg = options.svg.with_stem(f"{options.svg.stem}-zstd")
