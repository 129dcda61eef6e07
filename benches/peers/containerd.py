"""A containerd of a script's own: root, state and socket in a directory, without the service for Kubernetes."""

import os
import shutil
import subprocess
import time
from pathlib import Path


class Containerd:
    """Started anew on a new disk as often as it is asked for, and gone with what it mounted when the work is over."""

    def __init__(self, work, disk):
        self.socket, self.config = work.path / "containerd.sock", work.path / "containerd.toml"
        self.state, self.disk, self.process = work.path / "state", disk, None
        self.client = ["ctr", "--address", str(self.socket), "--namespace", "peers"]
        work.services.append(self)

    def needs(self):
        """The programs that it takes; it is root's."""
        return ["containerd", "ctr"] if os.geteuid() == 0 else ["root for containerd"]

    def renew(self):
        self.close()
        self.disk.renew()
        self.config.write_text(
            f'version = 2\nroot = "{self.disk.path}/root"\nstate = "{self.state}"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{self.socket}"\n'
            f'[plugins."io.containerd.internal.v1.opt"]\npath = "{self.disk.path}/opt"\n')
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["containerd", "--config", self.config], **quiet)
        for _ in range(300):
            if subprocess.run([*self.client, "version"], **quiet).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit("containerd does not answer")

    def run(self, *arguments):
        """Something that is not measured."""
        subprocess.run([*self.client, *arguments], check=True, stdout=subprocess.DEVNULL)

    def cpu(self):
        """The processor time that it has taken so far, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def begin(self):
        """Forgets the most memory that it has had; gives the processor time."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.cpu()

    def peak(self):
        """The most memory that it has had since, in MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.state, ignore_errors=True)
