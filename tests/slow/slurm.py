"""A SLURM of one machine with daemons, ports, keys and folders of its own, for one test."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")

REBOOT_S = 13
"""Seconds a dead machine is away: more than BatchStartTimeout and 10 s of messages. A younger job
that a node lacks when it registers counts as still starting, until the node registers again."""

CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
BatchStartTimeout=1
SchedulerParameters=sched_interval=1
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """What has to be installed, or is not allowed, before a cluster can run here."""
    found = [name for name in DAEMONS if _program(name) is None]
    return found or ([] if os.getuid() == 0 else ["root"])


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@dataclass
class Cluster:
    """A cluster that runs: the ``environment`` in which its commands work, its daemons."""

    place: Path
    environment: dict[str, str]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a daemon of SLURM, or start it again."""
        self.daemons[name] = _start([name, "-D"], self.environment, self.place)

    def machine_dies(self) -> None:
        """End everything on the only node at once, without a word, and start its daemon again."""
        self.daemons["slurmd"].kill()
        self.daemons["slurmd"].wait()
        for process in self._on_the_node():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(REBOOT_S)
        self.start("slurmd")

    def _on_the_node(self) -> Iterator[int]:
        """Steps of SLURM, and what they have started."""
        ours = f"SLURM_CONF={self.environment['SLURM_CONF']}\0".encode()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                environment = (path / "environ").read_bytes() + b"\0"
                name = (path / "comm").read_text().strip()
            except OSError:
                continue
            if ours in environment and (name == "slurmstepd" or b"\0SLURM_JOB_ID=" in environment):
                yield int(path.name)


@contextlib.contextmanager
def cluster(place: Path) -> Iterator[Cluster]:
    """Run a cluster with its files in ``place``."""
    environment = {**os.environ, "SLURM_CONF": str(place / "slurm.conf")}
    found = Cluster(place, environment)
    try:
        found.daemons["munged"] = _munge(place)
        host = socket.gethostname().split(".")[0]
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        about = {"host": host, "place": place, "user": "root", "cpus": os.cpu_count()}
        about |= {"memory_mb": pages * 9 // 10 >> 20, "ports": (_free_port(), _free_port())}
        (place / "slurm.conf").write_text(CONFIG.format(**about))
        for name in ("state", "spool"):
            (place / name).mkdir()
        for name in ("slurmctld", "slurmd"):
            found.start(name)
        _wait_until_idle(environment, place)
        yield found
    finally:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = ["scancel", "--signal=KILL", "--user", "root"]
            subprocess.run(command, env=environment, check=False, timeout=20)
        for process in reversed(found.daemons.values()):
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _munge(place: Path) -> subprocess.Popen[bytes]:
    place.chmod(0o755)
    key = place / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    files = {"key-file": key, "socket": place / "munge.sock", "pid-file": place / "munged.pid"}
    files |= {"log-file": place / "munged.log", "seed-file": place / "munge.seed"}
    words = [f"--{name}={path}" for name, path in files.items()]
    # --force: folders of tests lie below /tmp, which everyone may write to.
    process = _start(["munged", "--foreground", "--force", *words], dict(os.environ), place)
    _wait_for(lambda: (place / "munge.sock").exists(), place)
    return process


def _start(words: list[str], environment: dict[str, str], place: Path) -> subprocess.Popen[bytes]:
    program = _program(words[0])
    assert program is not None
    with (place / f"{words[0]}.out").open("ab") as log:
        return subprocess.Popen([program, *words[1:]], env=environment, stdout=log, stderr=log)


def _wait_until_idle(environment: dict[str, str], place: Path) -> None:
    def idle() -> bool:
        command = ["sinfo", "--noheader", "--format=%T"]
        found = subprocess.run(command, env=environment, capture_output=True, check=False)
        return found.stdout.strip() == b"idle"

    _wait_for(idle, place)


def _wait_for(happens, place: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text() for path in place.glob("*.log"))
            raise TimeoutError(f"SLURM did not start:\n{logs}")
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
