"""Rows of CSV for an empty handler, beside a bare loop of `csv` and msgspec, and django-import-export.

django-import-export is measured when BENCHMARK_DJANGO names the interpreter of an environment that has it.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from harness.figures import Figure, Options, Scenario, figure, main, share_below
from harness.people import bare_per_second, django_per_second, write_people
from harness.place import new_place, until_working
from harness.process import Process

from aiojobs_engine import Engine, Status

_FEW = 100_000
_DJANGO_ROWS = 20_000
_EVERY = 0.02  # seconds between two reads of the status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Imported:
    """What an import took: rows per second from the dispatch on, and without the copy of the file."""

    with_copy: float
    per_second: float
    peak_mib: float
    reads: list[float]


@dataclass(slots=True)
class _Rounds:
    """One entry per round."""

    ours: list[_Imported] = field(default_factory=list)
    without_key: list[_Imported] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    django: list[float] = field(default_factory=list)


async def measure(options: Options) -> list[Figure]:
    """Each round imports the file twice, once without a key, and reads it by the bare loop between."""
    rounds = _Rounds()
    django = os.environ.get("BENCHMARK_DJANGO")
    with new_place() as place:
        people = place.folder / "people.csv"
        write_people(people, options.jobs)
        few = place.folder / "few.csv"
        write_people(few, _FEW)
        some = place.folder / "some.csv"
        write_people(some, _DJANGO_ROWS)
        small = await _import("people", few, _FEW)
        for _ in range(options.repeats):
            rounds.ours.append(await _import("people", people, options.jobs))
            rounds.bare.append(bare_per_second(people))
            rounds.without_key.append(await _import("people.without-key", people, options.jobs))
            if django:
                rounds.django.append(django_per_second(django, some))
    return _figures(rounds, small)


async def _import(name: str, file: Path, rows: int) -> _Imported:
    with new_place() as place:
        async with place.engine() as engine:
            with place.worker() as worker:
                await until_working(engine, worker)
                return await _measured(engine, worker, name, file, rows)


async def _measured(engine: Engine, worker: Process, name: str, file: Path, rows: int) -> _Imported:
    reads: list[float] = []
    begun = time.perf_counter()
    handle = await engine.dispatch(name, source=file)
    stored = time.perf_counter()
    while True:
        before = time.perf_counter()
        status = await handle.status()
        now = time.perf_counter()
        reads.append(now - before)
        assert status.processed == status.succeeded + status.failed
        if status.status in (Status.COMPLETED, Status.PARTIAL, Status.FAILED):
            break
        worker.check_alive()
        await anyio.sleep(_EVERY)
    assert (status.succeeded, status.skipped) == (rows, 0)
    return _Imported(
        with_copy=rows / (now - begun),
        per_second=rows / (now - stored),
        peak_mib=worker.peak_rss_mib(),
        reads=reads,
    )


def _figures(rounds: _Rounds, small: _Imported) -> list[Figure]:
    ours, bare = rounds.ours, rounds.bare
    shares = [one.per_second / loop for one, loop in zip(ours, bare, strict=True)]
    keyless = [one.per_second / loop for one, loop in zip(rounds.without_key, bare, strict=True)]
    figures = [
        figure("rows per second, over a bare loop's", shares, "x", at_least=0.5),
        figure("the same without a key", keyless, "x"),
        figure("peak RSS of the worker", [one.peak_mib for one in ours], "MiB", at_most=120),
        figure(
            "peak RSS, beyond that of 100,000 rows", [one.peak_mib - small.peak_mib for one in ours], "MiB"
        ),
        figure("status read", [share_below(one.reads, 0.5) * 1e3 for one in ours], "ms", at_most=5),
        figure("status read, 99 of 100 within", [share_below(one.reads, 0.99) * 1e3 for one in ours], "ms"),
        figure("imported", [one.per_second for one in ours], "rows/s"),
        figure("imported, the copy of the file included", [one.with_copy for one in ours], "rows/s"),
        figure("read by a bare loop", bare, "rows/s"),
    ]
    if rounds.django:
        times = [one.per_second / other for one, other in zip(ours, rounds.django, strict=True)]
        figures.insert(2, figure("rows per second, over django-import-export's", times, "x", at_least=20))
        figures.append(figure("imported by django-import-export", rounds.django, "rows/s"))
    return figures


SCENARIO = Scenario(
    name="imports",
    about="Rows of CSV (email, name, age) with a key, an empty handler, one worker process.",
    measure=measure,
    options=Options(jobs=1_000_000, repeats=5),
    quick=Options(jobs=200_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
