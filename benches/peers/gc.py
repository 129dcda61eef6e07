#!/usr/bin/env python3
"""What could be removed from a layout of 100,000 blobs, without removing it: beside find, which only lists them."""

import hashlib
import shlex

from peers import Tool, Work, arguments, compare, ours

COUNT = 100_000

options = arguments(__doc__)
with Work() as work:
    layout = work.path / "layout"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
    for number in range(COUNT):
        content = b"blob %d" % number
        (blobs / hashlib.sha256(content).hexdigest()).write_bytes(content)
    compare(f"gc --dry-run of {COUNT:,} blobs", [
        Tool("image-toolkit", [ours("gc"), "--dry-run", str(layout)]),
        Tool("find -type f", f"find {shlex.quote(str(layout))} -type f | wc -l", ["find"]),
    ], options)
