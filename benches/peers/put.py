#!/usr/bin/env python3
"""A blob of 1 GB stored, hashed and written but not synced: beside openssl, which only hashes it."""

import os

from peers import Tool, Work, arguments, compare, ours

SIZE = 1_000_000_000
PIECE = 8_000_000

options = arguments(__doc__)
with Work() as work:
    store, blob = work.disk(in_memory=True), work.path / "blob"
    with open(blob, "wb") as file:
        for _ in range(SIZE // PIECE):
            file.write(os.urandom(PIECE))
    compare("put of 1 GB", [
        Tool("image-toolkit", [ours("put", "benches"), blob, store.path], before=store.renew),
        Tool("openssl dgst -sha256", ["openssl", "dgst", "-sha256", blob], ["openssl"]),
    ], options)
