#!/usr/bin/env python3
"""The upper directory of an overlay mount in which one file in a hundred was changed, as a layer: beside buildah commit. As root."""

import shutil
import subprocess

from peers import Tool, Work, arguments, compare, edit, ours

options = arguments(__doc__, layout="an OCI layout with an image named latest: skopeo copy docker://debian:12 oci:LAYOUT:latest")
with Work() as work:
    disk, layout = work.disk(), options.layout.resolve()
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    disk.renew()
    lower, upper, merged, inner = (disk.path / name for name in ("lower", "upper", "merged", "work"))
    for directory in (upper, merged, inner):
        directory.mkdir()
    subprocess.run([ours("unpack"), f"{layout}:latest", lower], **quiet)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={inner}", merged], check=True)
    edit(merged)
    subprocess.run(["umount", merged], check=True)
    store = disk.path / "store"
    renew = lambda: shutil.rmtree(store, ignore_errors=True)
    tools = [Tool(f"image-toolkit, {form}", [ours("capture", "benches"), lower, upper, store, form], before=renew) for form in ("none", "gzip")]
    if shutil.which("buildah"):
        buildah = ["buildah", "--root", disk.path / "storage", "--runroot", disk.path / "run", "--storage-driver", "overlay"]
        subprocess.run([*buildah, "from", "--name", "edited", f"oci:{layout}:latest"], **quiet)
        edit(subprocess.run([*buildah, "mount", "edited"], check=True, capture_output=True, text=True).stdout.strip())
        tools.append(Tool("buildah commit, which does not compress", [*buildah, "commit", "--quiet", "edited", "changed"],
                          before=lambda: subprocess.run([*buildah, "rmi", "changed"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)))
    else:
        tools.append(Tool("buildah commit", [], ["buildah"]))
    subprocess.run(["sync"], check=True)
    compare("capture", tools, options)
