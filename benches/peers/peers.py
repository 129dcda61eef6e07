"""Runs our example programs beside the tools that a user would take instead, in turn, and prints what each took.

Every figure is of a whole process and its children, as the kernel accounts for them and GNU time tells; where a daemon works for it,
processor time and memory of that are added. Within a round the tools follow each other, so that a machine that slows down slows all of them; the ratio
is taken round by round, and the median of these is what counts.
"""

import argparse
import html
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


class Tool:
    """A program and what is done before each of its runs, which is not timed."""

    def __init__(self, name, command, needs=(), before=None, daemon=None):
        self.name, self.command, self.needs, self.before, self.daemon = name, command, needs, before, daemon
        self.wall, self.cpu, self.peak = [], [], []

    def missing(self):
        return [program for program in self.needs if not shutil.which(program)]

    def run(self):
        if self.before:
            self.before()
        command = ["bash", "-c", self.command] if isinstance(self.command, str) else self.command
        with tempfile.NamedTemporaryFile("r") as figures:
            timed = ["/usr/bin/time", "--format", "%U %S %M", "--output", figures.name, *command]
            cpu = self.daemon.begin() if self.daemon else 0
            begin = time.perf_counter()
            done = subprocess.run(timed, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            wall = time.perf_counter() - begin
            if done.returncode != 0:
                raise SystemExit(f"{self.name} failed: {done.stderr.decode(errors='replace')[-2000:]}")
            user, system, peak = map(float, figures.read().split())
        if self.daemon:
            system += self.daemon.cpu() - cpu
            peak += self.daemon.peak() * 1024
        self.wall.append(wall)
        self.cpu.append(user + system)
        self.peak.append(peak / 1024)


class Disk:
    """A directory that is as new for every run.

    As root it is a file system of its own, made anew: ext4 does not take the inodes of deleted files again for a while and
    looks past them, so that who unpacks where something was deleted before measures the deletion. Where little but a few large files
    is written it is in memory, since the first writing to a new image of a disk takes longer than all else.
    """

    def __init__(self, path, in_memory=False, size="24G"):
        self.path, self.image, self.in_memory, self.size = path, path.with_suffix(".img"), in_memory, size
        self.path.mkdir()

    def renew(self):
        self.close()
        if os.geteuid() != 0:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir()
            return
        if self.in_memory:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size},mode=0755", "tmpfs", self.path], check=True)
            return
        with open(self.image, "wb"):
            pass
        subprocess.run(["truncate", "-s", self.size, self.image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)
        subprocess.run(["sync"], check=True)

    def close(self):
        if os.path.ismount(self.path):
            subprocess.run(["umount", self.path], check=True)
        if self.image.exists():
            self.image.unlink()


def arguments(description, **options):
    """The command line: --rounds, --svg and the inputs that the job needs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5, help="how often each tool runs [default: 5]")
    parser.add_argument("--svg", type=Path, help="also draw the times into this file")
    for name, text in options.items():
        parser.add_argument(f"--{name}", required=True, type=Path, help=text)
    return parser.parse_args()


def ours(name, package="examples"):
    """An example program of this tree, built for release."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "--package", package, "--example", name], cwd=TREE, check=True)
    return str(Path(os.environ.get("CARGO_TARGET_DIR", TREE / "target")) / "release" / "examples" / name)


def edit(tree):
    """Appends a byte to every hundredth regular file, in the order of their paths."""
    files = []
    for directory, names, found in os.walk(tree):
        names.sort()
        files += [path for name in sorted(found) if os.path.isfile(path := os.path.join(directory, name)) and not os.path.islink(path)]
    for path in files[::100]:
        with open(path, "ab") as file:
            file.write(b"#")


def compare(job, tools, options):
    """Runs the tools in turn, the first of which is ours, and prints the table."""
    for tool in tools:
        if missing := tool.missing():
            print(f"left out: {tool.name}: there is no {', '.join(missing)}")
    tools = [tool for tool in tools if not tool.missing()]
    if not os.path.exists("/usr/bin/time"):
        raise SystemExit("there is no /usr/bin/time: install the package time")
    for tool in tools:  # Fills the caches, and is not counted.
        tool.run()
        for figures in (tool.wall, tool.cpu, tool.peak):
            figures.clear()
    for round_number in range(options.rounds):
        for tool in tools:
            tool.run()
        print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr)
    load = os.getloadavg()[0]
    print(f"{job}: {options.rounds} rounds, {os.cpu_count()} processors, load {load:.1f}")
    print(f"{'':44} {'wall s':>8} {'min':>8} {'max':>8} {'CPU s':>8} {'peak MiB':>9} {'ours / it':>10}")
    for tool in tools:
        ratio = statistics.median(a / b for a, b in zip(tools[0].wall, tool.wall))
        wall, cpu, peak = (statistics.median(figures) for figures in (tool.wall, tool.cpu, tool.peak))
        print(f"{tool.name:44} {wall:8.3f} {min(tool.wall):8.3f} {max(tool.wall):8.3f} {cpu:8.3f} {peak:9.1f} {ratio:10.3f}")
    if options.svg:
        options.svg.write_text(plot(job, tools))


def plot(job, tools):
    """Bars of the median times."""
    longest = max(statistics.median(tool.wall) for tool in tools)
    rows = []
    for place, tool in enumerate(tools):
        wall, y = statistics.median(tool.wall), 40 + 28 * place
        rows.append(
            f'<text x="8" y="{y + 15}">{html.escape(tool.name)}</text>'
            f'<rect x="320" y="{y}" width="{wall / longest * 360:.1f}" height="20" fill="{"#2a7" if place == 0 else "#999"}"/>'
            f'<text x="{326 + wall / longest * 360:.1f}" y="{y + 15}">{wall:.3f} s</text>')
    height = 50 + 28 * len(tools)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="780" height="{height}" font-family="sans-serif" font-size="13">'
        f'<rect width="780" height="{height}" fill="#fff"/>'
        f'<text x="8" y="22" font-weight="bold">{html.escape(job)}</text>{"".join(rows)}</svg>\n')


class Work:
    """A directory for all that a job makes, gone afterwards."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="peers."))
        self.path.chmod(0o755)
        self.disks, self.services = [], []
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # So that nothing is left then either.
        return self

    def disk(self, in_memory=False):
        self.disks.append(Disk(self.path / f"disk-{len(self.disks)}", in_memory))
        return self.disks[-1]

    def __exit__(self, *_):
        for service in self.services:
            service.close()
        with open("/proc/self/mounts") as mounts:
            mounted = [line.split()[1] for line in mounts if line.split()[1].startswith(f"{self.path}/")]
        disks = {str(disk.path) for disk in self.disks}
        for place in reversed(mounted):  # What storage of a service or tool left.
            if place not in disks:
                subprocess.run(["umount", "--lazy", place])
        for disk in self.disks:
            disk.close()
        shutil.rmtree(self.path, ignore_errors=True)
