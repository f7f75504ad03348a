"""Worker processes, started as users start them, and what the kernel counts of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

HERE = Path(__file__).parents[1]

_NANOSECONDS = 1e9
_KIB = 1024
_MIB = 1024 * 1024


class Process:
    """A child process; leaving its `with` ends it in good order, or kills it when that takes too long."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, *, new_session: bool = False
    ) -> None:
        """Start it beside the scenarios; `log` takes what it says.

        Args:
            new_session: it has a session of its own, which its children share.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIOJOBS_")}
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                command,
                cwd=HERE,
                env={**kept, **environment},
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=new_session,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.popen.pid

    def cpu_seconds(self) -> float:
        """CPU time of all its threads, in user mode and in the kernel, to the nanosecond.

        Threads that have ended are left out; those of a worker live as long as it does.
        """
        return cpu_seconds_of(self.pid)

    def peak_rss_mib(self) -> float:
        """The most resident memory since the start, MiB."""
        return self._status("VmHWM") * _KIB / _MIB

    def check_alive(self) -> None:
        """Make sure that it runs.

        Raises:
            RuntimeError: it ended; the message holds the end of its log.
        """
        if self.popen.poll() is not None:
            said = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"process {self.pid} ended with {self.popen.returncode}: {said}")

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """End it, within 40 s in good order; its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(with_signal)
            try:
                self.popen.wait(40)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()

    def kill_session(self) -> None:
        """Kill it and its children, which have a session of their own."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def _status(self, key: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
        raise RuntimeError(f"the kernel tells no {key} of process {self.pid}")


def cpu_seconds_of(pid: int) -> float:
    """CPU time of the threads that a process has now, in user mode and in the kernel, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / _NANOSECONDS


def worker_command(concurrency: int, *options: str) -> list[str]:
    """The command line of a worker on `harness.app:engine`."""
    return [
        sys.executable,
        "-m",
        "aiojobs_engine",
        "worker",
        "harness.app:engine",
        "-c",
        str(concurrency),
        *options,
    ]


def huey_command() -> list[str]:
    """The command line of huey's consumer with one thread and without a line per job."""
    consumer = "from huey.bin.huey_consumer import consumer_main; consumer_main()"
    return [sys.executable, "-c", consumer, "harness.huey_app.huey", "-k", "thread", "-w", "1", "-q"]


@contextmanager
def started(processes: list[Process]) -> Iterator[list[Process]]:
    """The processes, all of them ended when the body is left."""
    try:
        yield processes
    finally:
        for process in processes:
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGTERM)
        for process in processes:
            process.stop()
