#!/usr/bin/env python3
"""A build with commands (RUN), from nothing and when nothing has changed: beside buildah with its layer cache and Docker's BuildKit."""

import os
import shutil
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer

from peers import Tool, Work, arguments, compare, ours

QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Docker:
    """A dockerd of a script's own, without networks, and a place from where it fetches the context."""

    def __init__(self, work, context):
        self.work, self.root, self.socket = work, work.path / "docker", work.path / "docker.sock"
        archive = subprocess.run(["tar", "-C", context, "-cf", "-", "."], check=True, stdout=subprocess.PIPE).stdout

        class Context(BaseHTTPRequestHandler):
            def do_GET(self):
                self.do_HEAD()
                self.wfile.write(archive)

            def do_HEAD(self):
                self.send_response(200)
                self.send_header("Content-Type", "application/x-tar")
                self.send_header("Content-Length", str(len(archive)))
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Context)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.process = None
        work.services.append(self)

    def start(self, image):
        """Starts it with an image that is an archive of docker save."""
        options = [f"--{name}={value}" for name, value in [
            ("data-root", self.root / "data"), ("exec-root", self.root / "exec"), ("pidfile", self.root / "pid"),
            ("host", f"unix://{self.socket}"), ("bridge", "none"), ("iptables", "false"), ("ip6tables", "false")]]
        self.root.mkdir()
        self.process = subprocess.Popen(["dockerd", *options], **QUIET)
        for _ in range(300):
            if subprocess.run(self.client("version"), **QUIET).returncode == 0:
                break
            time.sleep(0.1)
        subprocess.run(self.client("load", "--quiet", "--input", str(image)), check=True, **QUIET)

    def client(self, *arguments):
        return ["docker", "--host", f"unix://{self.socket}", *arguments]

    def build(self, **more):
        """A command that builds: the engine's client has BuildKit only with a plugin that Debian does not have."""
        address = f"http://127.0.0.1:{self.server.server_port}/context.tar"
        query = urllib.parse.urlencode({"version": 2, "networkmode": "none", "remote": address, "t": "peer", **more})
        asked = f"curl --silent --fail --unix-socket {self.socket} --request POST 'http://docker/build?{query}'"
        return f"set -o pipefail; {asked} | grep --quiet 'Successfully tagged'"

    def processes(self):
        """It and its containerd."""
        children = subprocess.run(["pgrep", "--parent", str(self.process.pid)], stdout=subprocess.PIPE, text=True)
        return [self.process.pid, *map(int, children.stdout.split())]

    def cpu(self):
        """The processor time that they and what they waited for have taken so far, in seconds."""
        ticks = 0
        for process in self.processes():
            with open(f"/proc/{process}/stat") as stat:
                ticks += sum(map(int, stat.read().rpartition(")")[2].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def begin(self):
        """Forgets the most memory that they have had; gives the processor time."""
        for process in self.processes():
            with open(f"/proc/{process}/clear_refs", "w") as refs:
                refs.write("5")
        return self.cpu()

    def peak(self):
        """The most memory that they have had since, in MiB."""
        lines = []
        for process in self.processes():
            with open(f"/proc/{process}/status") as status:
                lines += [line for line in status if line.startswith("VmHWM:")]
        return sum(int(line.split()[1]) for line in lines) / 1024

    def close(self):
        """Ends it, and unmounts what it and buildah's storage left."""
        self.server.shutdown()
        if self.process:
            self.process.terminate()
            self.process.wait()
        with open("/proc/self/mounts") as mounts:
            mounted = [line.split()[1] for line in mounts if line.split()[1].startswith(f"{self.work.path}/")]
        for place in reversed(mounted):
            subprocess.run(["umount", "--lazy", place])


options = arguments(
    __doc__,
    context="a build context, whose Dockerfile begins FROM the base and has RUN",
    base="a layout with the base",
    name="the base's name in the Dockerfile, LAYOUT's latest",
)
with Work() as work:
    name, out, state = str(options.name), work.path / "out", work.path / "state"
    context, layout = options.context.resolve(), options.base.resolve()
    build = [ours("build"), "--progress", "plain", "--build-context", f"{name}=oci-layout://{layout}:latest"]
    build += ["-o", str(out), "--cache", str(state), str(context)]

    # overlay needs a directory that is on no overlay itself; each tool has the base before it is timed.
    store = ["--storage-driver", "overlay", "--root", f"{work.path}/store", "--runroot", f"{work.path}/run"]
    place = f"containers-storage:[overlay@{work.path}/store+{work.path}/run]{name}"
    skopeo = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    subprocess.run([*skopeo, f"oci:{layout}:latest", place], check=True)
    bud = ["buildah", *store, "bud", "--layers", "--isolation", "oci", "--runtime", "runc", "--network", "none", "--quiet"]
    bud += ["--pull-never", "-t", "peer", str(context)]

    archive = work.path / "base.tar"
    subprocess.run([*skopeo, f"oci:{layout}:latest", f"docker-archive:{archive}:{name}"], check=True)
    docker = Docker(work, context)
    docker.start(archive)
    archive.unlink()

    def forget():
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)

    anew = [*build[:1], "--no-cache", *build[1:]]
    subprocess.run(build, check=True, **QUIET)
    compare("build with commands, all steps", [
        Tool("image-toolkit", anew),
        Tool("buildah bud --layers --no-cache", [*bud[:-1], "--no-cache", bud[-1]], ["buildah", "runc"]),
        Tool("BuildKit in dockerd, no cache", docker.build(nocache=1), ["dockerd", "docker", "curl"], daemon=docker),
        Tool("image-toolkit, nothing there, base unpacked too", build, before=forget),
    ], options)
    compare("build with commands, nothing changed", [
        Tool("image-toolkit", build),
        Tool("buildah bud --layers", bud, ["buildah", "runc"]),
        Tool("BuildKit in dockerd", docker.build(), ["dockerd", "docker", "curl"], daemon=docker),
    ], options)
