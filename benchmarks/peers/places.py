"""Where rivals live: an environment each, a server each run, and a PostgreSQL where one is found."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.catalog import Peer

HOMES = Path(os.environ.get("PEERS_HOME", Path(__file__).parents[2] / ".cache" / "peers"))

_SYSTEM_USERS = ("postgres", "nobody")


def home(peer: Peer) -> Path:
    """The folder of its environment; rivals of the same packages share one."""
    first = peer.packages[0] if peer.packages else "own"
    return HOMES / first.partition("[")[0].replace(":", "-")


def programs(peer: Peer) -> Path:
    """Its folder of programs."""
    return home(peer) / "bin" if peer.packages else Path(sys.executable).parent


def is_ready(peer: Peer) -> bool:
    """Is it installed?"""
    return not peer.packages or (home(peer) / "ready").exists()


def install(peer: Peer) -> str:
    """Install it, unless it is; an empty text, or why that failed."""
    if is_ready(peer):
        return ""
    folder = home(peer)
    folder.mkdir(parents=True, exist_ok=True)
    if peer.packages[0].startswith("npm:"):
        if shutil.which("npm") is None:
            return "there is no npm"
        commands = [
            ["npm", "install", "--silent", "--prefix", str(folder), *(name[4:] for name in peer.packages)]
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(folder)],
            [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", *peer.packages],
        ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr or done.stdout).strip()[-300:]
    (folder / "ready").touch()
    return ""


def versions(peer: Peer) -> dict[str, str]:
    """What is installed for it."""
    if peer.packages and peer.packages[0].startswith("npm:"):
        said = subprocess.run(
            ["npm", "ls", "--prefix", str(home(peer)), "--depth", "0", "--parseable", "--long"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        return {
            name: version
            for _, _, word in (line.partition(":") for line in said.splitlines())
            for name, at, version in [word.partition(":")[0].rpartition("@")]
            if at and name == "bullmq"
        }
    names = [name.partition("[")[0] for name in peer.packages] or ["aiojobs-engine", "msgspec"]
    code = (
        "import sys; from importlib.metadata import version, PackageNotFoundError\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(name, version(name))\n"
        "    except PackageNotFoundError: pass\n"
    )
    wanted = dict.fromkeys([*names, "redis", "hiredis"])
    said = subprocess.run(
        [str(programs(peer) / "python"), "-c", code, *wanted], capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split() for line in said.splitlines())


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of default settings, or an empty text where none can be started.

    `PEER_POSTGRES` names one that runs already.
    """
    given = os.environ.get("PEER_POSTGRES", "")
    if given or shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="aiojobs-postgres-"))
    as_user = _other_user(folder)
    data = str(folder / "data")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
    try:
        made = subprocess.run(
            [*as_user, "initdb", "-D", data, "-U", "peers", "-A", "trust"], capture_output=True, check=False
        )
        started = (
            made.returncode == 0
            and subprocess.run(
                [*as_user, "pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            ).returncode
            == 0
        )
        yield f"postgresql://peers@/postgres?host={folder}" if started else ""
        if started:
            subprocess.run(
                [*as_user, "pg_ctl", "-D", data, "-m", "immediate", "stop"], capture_output=True, check=False
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other_user(folder: Path) -> list[str]:
    """How to run as somebody else, for PostgreSQL refuses the root user; the folder is given to them."""
    if os.getuid() != 0 or shutil.which("runuser") is None:
        return []
    for user in _SYSTEM_USERS:
        try:
            shutil.chown(folder, user)
        except LookupError:
            continue
        return ["runuser", "-u", user, "--"]
    return []
