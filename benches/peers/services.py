"""Daemons of a script's own: root, state and socket in a directory."""

import os
import shutil
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Service:
    """Started anew on a new disk as often as it is asked for, and gone with what it mounted when the work is over."""

    def __init__(self, work, disk, programs):
        self.socket, self.state, self.disk = work.path / f"{programs[0]}.sock", work.path / f"{programs[0]}.state", disk
        self.programs, self.process = programs, None
        work.services.append(self)

    def needs(self):
        """The programs that it takes; it is root's."""
        return self.programs if os.geteuid() == 0 else [f"root for {self.programs[0]}"]

    def renew(self):
        self.close()
        self.disk.renew()
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(self.command(), **quiet)
        for _ in range(300):
            if subprocess.run([*self.client, "version"], **quiet).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit(f"{self.programs[0]} does not answer")

    def run(self, *arguments):
        """Something that is not measured."""
        subprocess.run([*self.client, *arguments], check=True, stdout=subprocess.DEVNULL)

    def processes(self):
        """Its own, and the service that it starts for itself, if it does."""
        found = subprocess.run(["pgrep", "--parent", str(self.process.pid)], capture_output=True, text=True)
        return [self.process.pid, *map(int, found.stdout.split())]

    def cpu(self):
        """The processor time that it and what it waited for have taken so far, in seconds."""
        ticks = 0
        for process in self.processes():
            ticks += sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def begin(self):
        """Forgets the most memory that it has had; gives the processor time."""
        for process in self.processes():
            Path(f"/proc/{process}/clear_refs").write_text("5")
        return self.cpu()

    def peak(self):
        """The most memory that it has had since, in MiB."""
        lines = [line.split() for process in self.processes() for line in Path(f"/proc/{process}/status").read_text().splitlines()]
        return sum(int(line[1]) for line in lines if line and line[0] == "VmHWM:") / 1024

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.state, ignore_errors=True)


class Containerd(Service):
    """Without the service for Kubernetes."""

    def __init__(self, work, disk):
        super().__init__(work, disk, ["containerd", "ctr"])
        self.config = work.path / "containerd.toml"
        self.client = ["ctr", "--address", str(self.socket), "--namespace", "peers"]

    def command(self):
        self.config.write_text(
            f'version = 2\nroot = "{self.disk.path}/root"\nstate = "{self.state}"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{self.socket}"\n'
            f'[plugins."io.containerd.internal.v1.opt"]\npath = "{self.disk.path}/opt"\n')
        return ["containerd", "--config", self.config]


class Docker(Service):
    """Without a network, and with a place from where it fetches a context."""

    def __init__(self, work, disk, context):
        super().__init__(work, disk, ["dockerd", "docker", "containerd", "curl"])
        self.client = ["docker", "--host", f"unix://{self.socket}"]
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

    def command(self):
        options = {"data-root": f"{self.disk.path}/data", "exec-root": self.state, "pidfile": f"{self.state}.pid", "host": f"unix://{self.socket}",
                   "bridge": "none", "iptables": "false", "ip6tables": "false", "shutdown-timeout": 1}
        return ["dockerd", *(f"--{name}={value}" for name, value in options.items())]

    def build(self, **more):
        """A command that builds with BuildKit: the engine's client has that only with a plugin that Debian does not have."""
        address = f"http://127.0.0.1:{self.server.server_port}/context.tar"
        query = urllib.parse.urlencode({"version": 2, "networkmode": "none", "remote": address, "t": "peer", **more})
        asked = f"curl --silent --fail --unix-socket {self.socket} --request POST 'http://docker/build?{query}'"
        return f"set -o pipefail; {asked} | grep --quiet 'Successfully tagged'"
