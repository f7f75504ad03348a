"""Limits and fair turns under a race of worker processes, judged by the events that the store wrote.

`python benchmarks/limits.py --workers 8` takes about a minute. It ends with 1 when a cap was passed, a rate
was missed by more than 2 %, or a turn came later than its bound.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from harness.figures import machine
from harness.limited import (
    KEY_CAP,
    QUEUE_CAP,
    RATE,
    TYPE_CAP,
    WINDOW,
    bucket,
    keyed,
    registry,
    turn,
    typed,
    window,
)
from harness.process import Process, started

from aiojobs_engine import Engine, JobCreated, JobEvent, JobStarted
from aiojobs_engine.core.events import TERMINAL_EVENTS

CONFIG = {"queues": {"capped": {"concurrency": QUEUE_CAP}, "fair": {"fair_by": "key"}}}
TOLERANCE = 0.02
KEYS, FLOOD, LATE, EACH = 10, 1_500, 8, 5
_WARM_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How many processes, slots of each, jobs of each kind, and seconds that the rates are watched."""

    workers: int
    slots: int
    jobs: int
    seconds: float


async def capped(engine: Engine, options: Options, keys: dict[str, str]) -> dict[str, Any]:
    """Jobs of two types that share a queue's slots, one with slots by type, one with slots by key."""
    jobs = [typed.job(n=n) for n in range(options.jobs)]
    jobs += [keyed.job(key=f"k{n % KEYS}", n=n) for n in range(options.jobs)]
    keys |= {job.id: f"k{n % KEYS}" for n, job in enumerate(jobs[options.jobs :])}
    await engine.dispatch_many(jobs)
    await until_ended(engine, "capped", len(jobs))
    most = most_at_once(await all_events(engine), keys)
    caps = {"queue": QUEUE_CAP, "type": TYPE_CAP, "key": KEY_CAP}
    return {"caps": caps, "most": most, "over": [name for name, cap in caps.items() if most[name] > cap]}


async def rated(engine: Engine, options: Options) -> dict[str, Any]:
    """More jobs than the rates let through while they are watched."""
    count = round(options.seconds + 5)
    await engine.dispatch_many(bucket.job(n=n) for n in range(RATE * count))
    await engine.dispatch_many(window.job(n=n) for n in range(WINDOW * count))
    await anyio.sleep(options.seconds)
    await engine.queues.pause("rated")
    starts = defaultdict[str, list[int]](list)
    for event in await all_events(engine):
        if isinstance(event, JobStarted) and event.queue == "rated":
            starts[event.type].append(event.at)
    return {
        "bucket": rate_of(starts["bucket"]) / RATE,
        "window": rate_of(starts["window"]) / WINDOW,
        "most in a window": most_within(starts["window"], 1_000) / WINDOW,
    }


async def fair(engine: Engine) -> dict[str, Any]:
    """A key that floods the queue, and others that come later, again and again."""
    keys: dict[str, str] = {}

    async def send(key: str, count: int) -> None:
        jobs = [turn.job(key=key, n=n) for n in range(count)]
        keys.update((job.id, key) for job in jobs)
        await engine.dispatch_many(jobs)

    await send("flood", FLOOD)
    for _ in range(3):
        await anyio.sleep(0.3)
        for number in range(LATE):
            await send(f"late-{number}", EACH)
    await until_ended(engine, "fair", len(keys))
    return {"late by": latest_turn(await all_events(engine), keys)}


def most_at_once(events: Iterable[JobEvent], keys: dict[str, str]) -> dict[str, int]:
    """The most jobs of the queue, the type and any key that ran at once, by the order of the events."""
    running: set[str] = set()
    most = Counter[str]()
    for event in events:
        if event.queue != "capped":
            continue
        if isinstance(event, JobStarted):
            running.add(event.job_id)
            by_key = Counter(keys[job_id] for job_id in running if job_id in keys)
            most["queue"] = max(most["queue"], len(running))
            most["type"] = max(most["type"], len(running - keys.keys()))
            most["key"] = max([most["key"], *by_key.values()])
        elif isinstance(event, TERMINAL_EVENTS):
            running.discard(event.job_id)
    return dict(most)


def rate_of(starts: Sequence[int]) -> float:
    """Starts per second over whole seconds, without the first second, in which a burst falls."""
    kept = [at for at in starts if at >= starts[0] + _WARM_MS]
    seconds = (kept[-1] - kept[0]) // 1_000
    return sum(at < kept[0] + seconds * 1_000 for at in kept) / seconds


def most_within(starts: Sequence[int], span: int) -> int:
    """The most starts within any `span` ms."""
    return max(sum(start <= at < start + span for at in starts) for start in starts)


def latest_turn(events: Iterable[JobEvent], keys: dict[str, str]) -> int:
    """By how many starts a job of a late key came after its bound; negative when all came before it.

    The bound: the n-th waiting job of a key starts after at most n jobs of each other key with jobs waiting,
    and the n - 1 before it.
    """
    waiting: dict[str, list[str]] = defaultdict(list)
    bounds: dict[str, int] = {}
    count, worst = 0, -FLOOD
    for event in events:
        if event.job_id not in keys:
            continue
        key = keys[event.job_id]
        if isinstance(event, JobCreated):
            waiting[key].append(event.job_id)
            others = sum(bool(jobs) for name, jobs in waiting.items() if name != key)
            place = len(waiting[key])
            bounds[event.job_id] = count + place * max(others, LATE) + place - 1
        elif isinstance(event, JobStarted):
            waiting[key].remove(event.job_id)
            if key != "flood":
                worst = max(worst, count - bounds[event.job_id])
            count += 1
    return worst


async def all_events(engine: Engine) -> list[JobEvent]:
    """Every stored event, in the order of the store."""
    events: list[JobEvent] = []
    cursor: str | None = None
    while True:
        page, after = await engine.store.read(cursor, 1_000)
        if not page:
            return events
        events += page
        cursor = after


async def until_ended(engine: Engine, queue: str, count: int) -> None:
    """Return when so many jobs of the queue have completed."""
    while (await engine.queues.stats(queue)).counts.get("completed", 0) < count:  # noqa: ASYNC110 - a fact of other processes
        await anyio.sleep(0.1)


async def measure(folder: Path, options: Options) -> dict[str, Any]:
    """All scenes, one after the other, on one file and the same workers."""
    url = f"sqlite:///{folder / 'jobs.db'}"
    engine = Engine(url, registry=registry, config=CONFIG)
    command = [
        sys.executable,
        "-m",
        "aiojobs_engine",
        "worker",
        "harness.limited:engine",
        "-c",
        str(options.slots),
    ]
    async with engine:
        environment = {"AIOJOBS_URL": url}
        with started([Process(command, environment, folder / f"{n}.log") for n in range(options.workers)]):
            while len((await engine.workers.list()).items) < options.workers:  # noqa: ASYNC110 - a fact of other processes
                await anyio.sleep(0.05)
            return {
                "capped": await capped(engine, options, {}),
                "rated": await rated(engine, options),
                "fair": await fair(engine),
            }


def broken(found: dict[str, Any]) -> list[str]:
    """What was not kept."""
    rates = found["rated"]
    missed = [name for name in ("bucket", "window") if abs(rates[name] - 1) > TOLERANCE]
    over = ["more than a window holds"] if rates["most in a window"] > 1 else []
    late = ["a turn came late"] if found["fair"]["late by"] > 0 else []
    return [*found["capped"]["over"], *missed, *over, *late]


def main() -> None:
    """Measure, print, and exit with 1 when something was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--slots", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    options = Options(workers=given.workers, slots=given.slots, jobs=given.jobs, seconds=given.seconds)
    folder = Path(tempfile.mkdtemp(prefix="aiojobs-limits-"))
    try:
        found = anyio.run(measure, folder, options)
    finally:
        shutil.rmtree(folder)
    found["broken"] = broken(found)
    sys.stdout.write(json.dumps(found if given.json else {**found, "machine": machine()}, indent=2) + "\n")
    sys.exit(1 if found["broken"] else 0)


if __name__ == "__main__":
    main()
