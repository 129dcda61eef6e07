#!/usr/bin/env python3
"""One digest of a directory: with nothing known beside sha256sum of all files, and with all known beside git status."""

import shlex
import shutil
import subprocess
import time

from peers import Tool, Work, arguments, compare, ours

options = arguments(__doc__, context="a directory of many files")
with Work() as work:
    tree, git_dir = work.path / "tree", work.path / "git"
    shutil.copytree(options.context, tree, symlinks=True)
    (tree / ".dockerignore").unlink(missing_ok=True)  # The same files for all.
    subprocess.run(["sync"], check=True)  # Else the kernel still writes them while others are measured.
    program, here = ours("fingerprint"), shlex.quote(str(tree))
    compare("fingerprint, nothing known", [
        Tool("image-toolkit", [program, str(tree)]),
        Tool("find | xargs -P2 sha256sum", f"cd {here} && find . -type f -print0 | xargs -0 -P2 sha256sum", ["find", "xargs", "sha256sum"]),
    ], options)
    git = ["git", f"--git-dir={git_dir}", f"--work-tree={tree}", "-c", "gc.auto=0", "-c", "user.name=x", "-c", "user.email=x@localhost"]
    if shutil.which("git"):
        subprocess.run(["git", "init", "--quiet", "--bare", git_dir], check=True)
        subprocess.run([*git, "config", "core.bare", "false"], check=True)
        subprocess.run([*git, "add", "--all", "."], cwd=tree, check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", "all"], cwd=tree, check=True)
    subprocess.run(["sync"], check=True)
    time.sleep(4)  # What is too young is read again, here as there.
    compare("fingerprint, all known", [
        Tool("image-toolkit", [program, "--state", f"{work.path}/state", str(tree)]),
        Tool("git status", [*git, "status"], ["git"]),
    ], options)
