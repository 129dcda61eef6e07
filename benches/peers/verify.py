#!/usr/bin/env python3
"""All of a layout verified, blobs and the content of layers: beside sha256sum of its blobs and gzip or zstd that test its layers."""

import shlex

from peers import Tool, Work, arguments, compare, ours

# The first bytes of what gzip and zstd write.
FORMS = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}

options = arguments(__doc__, layout="an OCI layout with an image named latest: skopeo copy docker://debian:12 oci:LAYOUT:latest")
with Work():
    directory = options.layout.resolve() / "blobs" / "sha256"
    forms = {}
    for blob in directory.iterdir():
        with blob.open("rb") as file:
            forms.setdefault(FORMS.get(file.read(2)), []).append(blob.name)
    forms.pop(None, None)
    steps = [f"cd {shlex.quote(str(directory))}", "ls | xargs -P2 sha256sum"]
    # By standard input, since the names of blobs do not end as the compressors want.
    steps += [f"printf '%s\\n' {' '.join(names)} | xargs -P2 -I@ sh -c '{form} -t <@'" for form, names in sorted(forms.items())]
    compare("verify", [
        Tool("image-toolkit", [ours("verify"), str(options.layout)]),
        Tool(f"sha256sum, then {' and '.join(sorted(forms))} -t", " && ".join(steps), ["sha256sum", *sorted(forms)]),
    ], options)
