"""Live progress of a bulk job on standard error: a bar at a terminal, a line now and then elsewhere."""

import sys
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec

import click

from aiojobs_engine.cli.output import duration, has_colour, is_terminal, note
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.core.status import JobStatus
from aiojobs_engine.ports.clock import Clock

_WINDOW = 5.0
_LINE_EVERY = 2.0
_WIDTH = 30

Show = Callable[[JobStatus], None]


class Pace:
    """How fast rows go through: the average of the last 5 seconds."""

    def __init__(self, clock: Clock) -> None:
        """Measure by `clock`."""
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, processed: int) -> float | None:
        """Rows per second with this count; None before there are two counts apart."""
        now = self._clock.monotonic()
        self._seen.append((now, processed))
        while self._seen[0][0] < now - _WINDOW and len(self._seen) > 2:  # noqa: PLR2004 - a pace takes two points
            self._seen.popleft()
        then, before = self._seen[0]
        return (processed - before) / (now - then) if now > then else None


def told(status: JobStatus, pace: float | None) -> str:
    """`12,000 of 28,298 rows  5,210 rows/s  ETA 3s  12 failed`, or what comes before the first row."""
    if not status.total and status.status not in FINAL:
        return "reading the rows" if status.started_at is not None else "waiting for a worker"
    words = [f"{status.processed:,} {'' if _is_open(status) else f'of {status.total:,} '}rows"]
    if pace:
        words.append(f"{pace:,.0f} rows/s")
        left = status.total - status.processed
        if left:
            words.append(f"ETA {duration(left / pace)}")
    if status.failed:
        words.append(f"{status.failed:,} failed")
    return "  ".join(words)


def _is_open(status: JobStatus) -> bool:
    """Whether nobody knows yet how many rows there will be."""
    return status.kind == "export" and status.processed == status.total and status.status not in FINAL


@contextmanager
def progress(clock: Clock) -> Generator[Show]:
    """A function that shows a status; what it showed last stays on the screen."""
    pace = Pace(clock)
    if not is_terminal(is_error=True):
        yield _Lines(clock, pace)
    elif find_spec("rich") is not None:
        with _rich(pace) as show:
            yield show
    else:
        try:
            yield lambda status: _draw(status, pace.note(status.processed))
        finally:
            click.echo(err=True)


class _Lines:
    """A line every two seconds while something moves, and one at the end."""

    def __init__(self, clock: Clock, pace: Pace) -> None:
        self._clock = clock
        self._pace = pace
        self._due = clock.monotonic() + _LINE_EVERY
        self._last: int = 0

    def __call__(self, status: JobStatus) -> None:
        pace = self._pace.note(status.processed)
        is_over = status.finished_at is not None
        now = self._clock.monotonic()
        if (now >= self._due and status.processed != self._last) or (is_over and status.total):
            self._due, self._last = now + _LINE_EVERY, status.processed
            note(told(status, pace))


def _draw(status: JobStatus, pace: float | None) -> None:
    share = status.processed / status.total if status.total and not _is_open(status) else 0.0
    bar = ("#" * int(share * _WIDTH)).ljust(_WIDTH, ".")
    sys.stderr.write(f"\r[{bar}] {told(status, pace)}\x1b[K")
    sys.stderr.flush()


@contextmanager
def _rich(pace: Pace) -> Generator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(_WIDTH), TextColumn("{task.fields[words]}", markup=False))
    console = Console(stderr=True, no_color=not has_colour())
    with Progress(*columns, console=console, refresh_per_second=10) as bars:
        bar = bars.add_task("rows", total=None, words="")

        def show(status: JobStatus) -> None:
            bars.update(
                bar,
                completed=status.processed,
                total=None if _is_open(status) else status.total or None,
                words=told(status, pace.note(status.processed)),
            )

        yield show
