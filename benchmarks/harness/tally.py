"""Counters that handlers keep in shared memory: how many ran, which, and when. About 1 µs per job.

Each process writes a file of its own, so that nothing is locked; a reader adds them up. The sum of the
numbers that jobs carry proves that each of them ran, and ran once.
"""

import mmap
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BYTES = 128
_RAN, _SUM, _RUNNING, _MOST = 0, 1, 2, 3
_FIRST, _LAST, _CPU = 8, 9, 10
_SUFFIX = ".tally"


class Tally:
    """The counters of this process; the file appears with the first job."""

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`."""
        self._folder = folder
        self._ints = memoryview(bytearray(_BYTES)).cast("q")
        self._floats = memoryview(bytearray(_BYTES)).cast("d")
        self._is_open = False

    def start(self) -> None:
        """A handler begins."""
        if not self._is_open:
            self._open()
        ints = self._ints
        running = ints[_RUNNING] = ints[_RUNNING] + 1
        ints[_MOST] = max(ints[_MOST], running)

    def end(self, number: int) -> None:
        """The handler of job `number` is through."""
        ints = self._ints
        ints[_RUNNING] -= 1
        ints[_RAN] += 1
        ints[_SUM] += number
        self._floats[_LAST] = time.monotonic()

    def ran(self, number: int) -> None:
        """The handler of job `number` began and is through: for those that do nothing."""
        if not self._is_open:
            self._open()
        ints = self._ints
        ints[_RAN] += 1
        ints[_SUM] += number
        self._floats[_LAST] = time.monotonic()

    def _open(self) -> None:
        shared = _mapped(self._folder / f"{os.getpid()}{_SUFFIX}")
        self._ints, self._floats = memoryview(shared).cast("q"), memoryview(shared).cast("d")
        self._floats[_FIRST], self._floats[_CPU] = time.monotonic(), time.process_time()
        self._is_open = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The counters of all processes.

    Attributes:
        first_at, last_at: when the first job began and the last one ended, monotonic seconds of the machine.
        first_cpu: CPU seconds that the processes had used when their first jobs began.
    """

    ran: int = 0
    number_sum: int = 0
    most_running: int = 0
    first_at: float = float("inf")
    last_at: float = 0.0
    first_cpu: float = 0.0

    @property
    def seconds(self) -> float:
        """From the first start to the last end."""
        return self.last_at - self.first_at


class Board:
    """Reads the counters of all processes."""

    def __init__(self, folder: Path) -> None:
        """Look in `folder`."""
        self._folder = folder
        self._known: dict[Path, tuple[memoryview[int], memoryview[float]]] = {}

    def read(self) -> Totals:
        """Everything added up, as it stands."""
        for file in self._folder.glob(f"*{_SUFFIX}"):
            if file not in self._known and file.stat().st_size == _BYTES:
                shared = _mapped(file)
                self._known[file] = (memoryview(shared).cast("q"), memoryview(shared).cast("d"))
        each = list(self._totals())
        return Totals(
            ran=sum(one.ran for one in each),
            number_sum=sum(one.number_sum for one in each),
            most_running=sum(one.most_running for one in each),
            first_at=min((one.first_at for one in each), default=float("inf")),
            last_at=max((one.last_at for one in each), default=0.0),
            first_cpu=sum(one.first_cpu for one in each),
        )

    def ran(self) -> int:
        """How many handlers are through."""
        return self.read().ran

    def _totals(self) -> Iterator[Totals]:
        for ints, floats in self._known.values():
            yield Totals(
                ran=ints[_RAN],
                number_sum=ints[_SUM],
                most_running=ints[_MOST],
                first_at=floats[_FIRST] or float("inf"),
                last_at=floats[_LAST],
                first_cpu=floats[_CPU],
            )


def prove(totals: Totals, jobs: int, runs: int = 1) -> None:
    """Make sure that jobs 0 .. `jobs` - 1 ran, each `runs` times.

    Raises:
        RuntimeError: the count or the sum of their numbers is another one.
    """
    expected = (jobs * runs, runs * jobs * (jobs - 1) // 2)
    if (totals.ran, totals.number_sum) != expected:
        raise RuntimeError(f"{totals.ran:,} runs with the sum {totals.number_sum:,}, expected {expected}")


def _mapped(file: Path) -> mmap.mmap:
    if not file.exists():
        file.write_bytes(bytes(_BYTES))
    with file.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), _BYTES)
