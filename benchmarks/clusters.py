"""A Ray cluster and a SLURM cluster on this machine alone, with nodes that can be killed: for `many_machines.py`."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

START_WITHIN, TRIES = 120.0, 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children(pid: int) -> dict[int, str]:
    """Process ids and command lines of what this process has started and of what that has."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                with contextlib.suppress(OSError):
                    found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found |= children(child)
    return found


class RayCluster:
    """A head and a worker node of one core each, as `ray start` makes them, on this machine's own address.

    Args:
        apart: a folder for what nodes hold of their own (`MDAF_NODE_HOME`). The worker node then sees neither `folder`
            nor what the head's node has there: it finds empty folders in their places (needs `unshare` and its rights).
    """

    name = "ray"

    def __init__(self, folder: Path, apart: Path | None = None):
        self.log = folder / "ray.log"
        self.hidden = () if apart is None else (folder, apart)
        self.temporary = Path(f"/tmp/ray-{os.getpid()}")  # Ray's sockets need a short path
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {"RAY_ADDRESS": self.address, "MDAF_EXECUTOR": "ray", "RAY_USAGE_STATS_ENABLED": "0"}
        self.environment["RAY_AUTH_MODE"] = "disabled"  # whatever token this machine has
        if apart is not None:
            apart.mkdir(parents=True, exist_ok=True)
            self.environment["MDAF_NODE_HOME"] = str(apart)
        try:
            port = self.address.rpartition(":")[2]
            self._start("--head", f"--port={port}", f"--temp-dir={self.temporary}", "--include-dashboard=false")
            self.worker = self._join()
        except BaseException:
            self.stop()
            raise

    def _join(self) -> subprocess.Popen[bytes]:
        """A worker node; tried again, for where the machine is busy Ray (2.60) gives one up that takes 30 s."""
        for left in reversed(range(TRIES)):
            try:
                return self._start(f"--address={self.address}", before=self._alone())
            except RuntimeError:
                if not left:
                    raise
        raise AssertionError

    def _alone(self) -> tuple[str, ...]:
        """The command that runs another where the hidden folders are empty."""
        if not self.hidden:
            return ()
        mounts = " && ".join(f"mount -t tmpfs tmpfs {shlex.quote(str(folder))}" for folder in self.hidden)
        return "unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"

    def _start(self, *options: str, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        place = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            node = subprocess.Popen(
                [
                    *before,
                    *(sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block"),
                    *("--num-cpus=1", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1"),
                    *(f"--dashboard-agent-listen-port={free_port()}", *options),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        deadline = time.monotonic() + START_WITHIN
        while node.poll() is None and time.monotonic() < deadline:
            if b"Ray runtime started" in self.log.read_bytes()[place:]:
                return node
            time.sleep(0.5)
        node.kill()
        node.wait()
        raise RuntimeError(f"a Ray node does not start: see {self.log}")

    def kill_node(self) -> None:
        """The worker node's raylet, and with it the node; then another node joins."""
        for pid, command in children(self.worker.pid).items():
            if "/raylet/raylet " in command:
                os.kill(pid, signal.SIGKILL)
        self.worker.wait()
        self.worker = self._join()

    def stop(self) -> None:
        """`ray stop` would end other people's clusters on this machine too."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode()
                if str(self.temporary) in words or ("ray.scripts" in words and self.address in words):
                    os.kill(int(folder.name), signal.SIGKILL)
        shutil.rmtree(self.temporary, ignore_errors=True)


class SlurmCluster:
    """munged, slurmctld and slurmd of this account, with one node: this machine. No accounting."""

    name = "slurm"

    def __init__(self, folder: Path, minutes: int):
        self.folder = folder / "slurm"
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ("state", "spool"):
            (self.folder / part).mkdir(parents=True)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        self.socket = self.folder / "munge.socket"
        settings = self.folder / "slurm.conf"
        settings.write_text(self._settings())
        self.environment = {
            "SLURM_CONF": str(settings),
            "MDAF_EXECUTOR": "slurm",
            "MDAF_SLURM": f"partition=gpu time={minutes}",
        }
        self.daemons = [
            self._start(
                *("munged", "--foreground", "--force", f"--socket={self.socket}", f"--key-file={key}"),
                *(f"--pid-file={self.folder / 'munged.pid'}", f"--seed-file={self.folder / 'munge.seed'}"),
                f"--log-file={self.folder / 'munged.log'}",
            )
        ]
        self._wait(self.socket.exists)
        self.daemons += [self._start("slurmctld", "-D"), self._start("slurmd", "-D")]
        self._wait(lambda: "idle" in self._say("sinfo", "--noheader", "--format=%T"))

    def _settings(self) -> str:
        node = dict(
            part.split("=", 1) for part in subprocess.check_output(["slurmd", "-C"], text=True).split() if "=" in part
        )
        name, account = node["NodeName"], getpass.getuser()
        values = {
            "ClusterName": "here",
            "SlurmctldHost": f"{name}(127.0.0.1)",
            "SlurmctldPort": free_port(),
            "SlurmdPort": free_port(),
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self.socket}",
            "SlurmUser": account,
            "SlurmdUser": account,
            "StateSaveLocation": self.folder / "state",
            "SlurmdSpoolDir": self.folder / "spool",
            "SlurmctldPidFile": self.folder / "slurmctld.pid",
            "SlurmdPidFile": self.folder / "slurmd.pid",
            "SlurmctldLogFile": self.folder / "slurmctld.log",
            "SlurmdLogFile": self.folder / "slurmd.log",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "MpiDefault": "none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "ReturnToService": 2,
        }
        lines = [f"{key}={value}" for key, value in values.items()]
        lines += [f"NodeName={name} NodeAddr=127.0.0.1 CPUs={node['CPUs']} RealMemory={node['RealMemory']}"]
        return "\n".join([*lines, f"PartitionName=gpu Nodes={name} Default=YES State=UP", ""])

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "daemons.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **self.environment})

    def _say(self, *command: str) -> str:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **self.environment}
        ).stdout

    def _wait(self, ready: object) -> None:
        deadline = time.monotonic() + START_WITHIN
        while not ready():  # type: ignore[operator]
            if time.monotonic() > deadline or any(daemon.poll() is not None for daemon in self.daemons):
                self.stop()
                raise RuntimeError(f"SLURM does not start: see {self.folder}")
            time.sleep(0.3)

    def kill_node(self) -> None:
        """slurmd; another one is started. Its jobs go on, for each has a process of its own (slurmstepd)."""
        self.daemons[-1].kill()
        self.daemons[-1].wait()
        self.daemons[-1] = self._start("slurmd", "-D")

    def stop(self) -> None:
        for daemon in reversed(self.daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(30)
            daemon.kill()
