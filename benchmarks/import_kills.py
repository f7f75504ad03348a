"""Import rows of CSV while the worker is killed every few seconds, and check each row.

`python benchmarks/import_kills.py` takes about two minutes on SQLite: a million rows, a SIGKILL every 5 s,
1,000 reads of the status meanwhile. `--redis` does the same on a server of its own. It ends with 1 when a law
was broken.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

sys.path.append(str(Path(__file__).parents[1]))

import anyio
from chaos.eyes import Eyes, SqliteEyes
from chaos.journal import DATABASE
from chaos.redis_eyes import RedisEyes
from chaos.rows import Call, Retold, broken_rows, read_calls, retold
from harness.import_app import registry
from harness.people import write_people
from harness.process import Process

from aiojobs_engine import Engine, JobStatus
from aiojobs_engine.core.state import FINAL
from tests.servers.server import Server, redis_on_path, valkey, version

_LATEST = 900.0
_LOOK = 0.02
_PREFIX = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is imported, and how often the worker is killed; seconds."""

    rows: int
    every: float
    reads: int
    pause: float
    slots: int
    lease: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where it happens: the store, what looks at it past the engine, and what it is."""

    folder: Path
    url: str
    eyes: Eyes
    name: str


@dataclass(slots=True)
class Story:
    """What was seen while it happened; `held` are id and token of what each killed worker had in hand."""

    kills: int = 0
    reads: int = 0
    seconds: float = 0.0
    wrong_reads: list[JobStatus] = field(default_factory=list)
    last: JobStatus | None = None
    held: set[tuple[str, int]] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Each law and whether it held, what the handlers saw, and what the store tells of the chunks.

    Attributes:
        unexplained: leases that were lost though nobody killed their worker: it stood still by itself.
    """

    laws: dict[str, bool]
    calls: list[Call]
    told: Retold
    unexplained: int

    @property
    def again(self) -> int:
        """How many runs of handlers were repeated."""
        return len(self.calls) - len({call.chunk for call in self.calls})

    @property
    def broken(self) -> list[str]:
        """The laws that did not hold."""
        return [law for law, holds in self.laws.items() if not holds]


async def carry_out(place: Place, options: Options) -> tuple[Story, Judgement]:
    """Import, kill and read; what came of it."""
    bad = set(range(777, options.rows, 25_000))
    people = place.folder / "people.csv"
    write_people(people, options.rows, bad)
    with people.open("a", encoding="utf-8") as file:
        file.write("user0@example.org,Somebody Again,1\n")
    config = {"storage": {"path": str(place.folder / "files")}}
    story = Story()
    begun = time.monotonic()
    async with Engine(place.url, registry=registry, config=config) as engine:
        job_id = (await engine.dispatch("people", source=people)).id
        async with anyio.create_task_group() as group:
            group.start_soon(_kill, place, options, story)
            await _read(engine, job_id, options, story)
            group.cancel_scope.cancel()
        story.seconds = time.monotonic() - begun
        return story, await _judge(engine, job_id, place.folder, bad, options, story)


async def _kill(place: Place, options: Options, story: Story) -> None:
    while True:
        with _worker(place, options) as worker:
            while not place.eyes.held(worker.pid):
                worker.check_alive()
                await anyio.sleep(_LOOK)
            await anyio.sleep(options.every)
            worker.popen.send_signal(SIGKILL)
            worker.popen.wait()
            story.kills += 1
            story.held |= {(job_id, token) for job_id, token, _ in place.eyes.held(worker.pid)}


@contextmanager
def _worker(place: Place, options: Options) -> Iterator[Process]:
    environment = {
        "AIOJOBS_URL": place.url,
        "AIOJOBS_STORAGE__PATH": str(place.folder / "files"),
        "AIOJOBS_WORKER__LEASE": str(options.lease),
        "AIOJOBS_WORKER__RESCUE_INTERVAL": "0.2",
        "BENCHMARK_SEEN": str(place.folder / "seen"),
        "BENCHMARK_PAUSE": str(options.pause),
    }
    app = "harness.import_app:engine"
    command = [sys.executable, "-m", "aiojobs_engine", "worker", app, "-c", str(options.slots)]
    process = Process(command, environment, place.folder / "worker.log")
    try:
        yield process
    finally:
        process.stop(SIGKILL)


async def _read(engine: Engine, job_id: str, options: Options, story: Story) -> None:
    """Read the status until the end, and so often in any case."""
    begun = time.monotonic()
    pause = max(0.001, options.pause * options.rows / 1000 / options.slots / options.reads)
    while True:
        status = await engine.jobs.get(job_id)
        story.reads += 1
        before = story.last.processed if story.last is not None else 0
        if not before <= status.processed == status.succeeded + status.failed <= status.total:
            story.wrong_reads.append(status)
        story.last = status
        if status.status in FINAL and story.reads >= options.reads:
            return
        if time.monotonic() - begun > _LATEST:
            raise TimeoutError(f"{status.processed:,} of {status.total:,} rows after {_LATEST:g} s")
        await anyio.sleep(pause)


async def _judge(
    engine: Engine, job_id: str, folder: Path, bad: set[int], options: Options, story: Story
) -> Judgement:
    status = await engine.jobs.get(job_id)
    failed = [failure.row_number - 1 async for failure in engine.failures.list(job_id)]
    calls = read_calls(folder / "seen")
    told = await retold(engine, job_id)
    good = set(range(options.rows)) - bad
    total = options.rows + 1
    lost = {lease for leases in told.lost.values() for lease in leases}
    laws = {
        "processed is succeeded and failed together, and never falls, at each read": not story.wrong_reads,
        "each row is counted once": (status.processed, status.total, status.skipped) == (total, total, 1),
        "the good rows are in": (status.succeeded, status.failed) == (len(good) + 1, len(bad)),
        "exactly the planted rows failed": failed == sorted(bad),
        "each good row was seen, and no bad one": {row for call in calls for row in call.rows} == good,
        **broken_rows(calls, told),
        "what killed workers held was given out again": story.held & set(told.granted) <= lost,
    }
    return Judgement(laws=laws, calls=calls, told=told, unexplained=len(lost - story.held))


@contextmanager
def _place(folder: Path, *, redis: bool) -> Iterator[Place]:
    if not redis:
        yield Place(folder, f"sqlite:///{folder / DATABASE}", SqliteEyes(folder), "SQLite")
        return
    binary = redis_on_path() or valkey()
    with Server(binary, folder / "server", "--appendonly", "yes", "--appendfsync", "everysec") as server:
        url = f"{server.url}?prefix={_PREFIX}"
        yield Place(folder, url, RedisEyes(server.port, _PREFIX), version(binary))


def _show(options: Options, place: Place, story: Story, found: Judgement, *, is_json: bool) -> None:
    record = {
        "store": place.name,
        "rows": options.rows,
        "kills": story.kills,
        "reads": story.reads,
        "chunks": len({call.chunk for call in found.calls}),
        "retried": len(found.told.retried),
        "again": found.again,
        "unexplained": found.unexplained,
        "broken": dict.fromkeys(found.broken, 1),
    }
    if is_json:
        print(json.dumps(record))
        return
    seen = f"{story.kills} kills, {story.reads:,} reads, {story.seconds:.0f} s"
    print(f"{options.rows:,} rows on {place.name}, {seen}")
    for law, holds in found.laws.items():
        print(f"{'holds ' if holds else 'BROKEN'}  {law}")
    print(f"{record['chunks']:,} chunks, {record['retried']} retried, with {found.again} calls repeated")
    print(f"{found.unexplained} leases lost by workers that nobody had killed")


def main() -> int:
    """Do it as the command line says; 1 when a law was broken."""
    parser = argparse.ArgumentParser(description="Kill the worker of an import, and check each row.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--every", type=float, default=5.0, help="seconds from the first claim to the kill")
    parser.add_argument("--reads", type=int, default=1000, help="reads of the status, at least")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds that the handler takes for a chunk")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--lease", type=float, default=2.0)
    parser.add_argument("--redis", action="store_true", help="on a Redis of its own, not on SQLite")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = vars(parser.parse_args())
    redis, is_json = given.pop("redis"), given.pop("json")
    options = Options(**given)
    folder = Path(tempfile.mkdtemp(prefix="aiojobs-import-kills-"))
    try:
        with _place(folder, redis=redis) as place:
            story, found = anyio.run(carry_out, place, options)
            _show(options, place, story, found, is_json=is_json)
        return 1 if found.broken else 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
