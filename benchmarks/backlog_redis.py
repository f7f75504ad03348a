"""A million jobs in Redis, then a million finished ones: what they weigh, and whether claims get slower."""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.append(str(Path(__file__).parents[1]))

import anyio
from harness.app import empty
from harness.backlogs import AFTERWARDS, SETTINGS, work_off
from harness.figures import Figure, Options, Scenario, figure, main, share_below
from harness.place import new_place

from aiojobs_engine import Engine
from tests.servers.server import Server, redis_on_path, valkey

_BESIDE = "beside"
_EVERY = 0.01
_PATH = ("--appendonly", "yes", "--appendfsync", "everysec")


async def measure(options: Options) -> list[Figure]:
    """One server with its append-only file: an idle worker, all jobs, some more on top of them."""
    weights, waits = list[int](), list[float]()
    with (
        TemporaryDirectory() as folder,
        Server(redis_on_path() or valkey(), Path(folder) / "server", *_PATH) as server,
        new_place(server.url, **SETTINGS) as place,
    ):

        async def weigh() -> None:
            while _is_rewriting(server):  # noqa: ASYNC110 - a fact of another process
                await anyio.sleep(_EVERY)
            weights.append(int(server.run("INFO", "memory")["used_memory"]))

        async with place.engine() as engine:
            await weigh()
            backlog = await work_off(
                place,
                engine,
                options.jobs,
                queued=weigh,
                beside=lambda: _dispatch(engine, waits),
                finished=weigh,
            )
    empty_store, queued, finished = weights
    stored = options.jobs + AFTERWARDS
    milliseconds = [wait * 1000 for wait in waits]
    return [
        *backlog.figures(),
        figure("memory per queued job", [(queued - empty_store) / stored], "bytes"),
        figure("memory per finished job, events included", [(finished - empty_store) / stored], "bytes"),
        figure("dispatch while a worker drains, median", [share_below(milliseconds, 0.5)], "ms"),
        figure("dispatch while a worker drains, p99", [share_below(milliseconds, 0.99)], "ms"),
    ]


def _is_rewriting(server: Server) -> bool:
    """Whether the server writes its log anew, for which it copies memory at every touch."""
    said = server.run("INFO", "persistence")
    return any(
        said[name] for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
    )


async def _dispatch(engine: Engine, waits: list[float]) -> None:
    """Dispatch one job after the other to a queue that nobody works on, and note how long each takes."""
    number = 0
    while True:
        began = time.perf_counter()
        await engine.dispatch(empty.options(queue=_BESIDE).job(n=number))
        waits.append(time.perf_counter() - began)
        number += 1
        await anyio.sleep(_EVERY)


SCENARIO = Scenario(
    name="backlog_redis",
    about="All jobs stored in one Redis, run by one worker process of 100 slots, then 20,000 more; "
    "nothing is pruned. Beside it a producer dispatches one job at a time.",
    measure=measure,
    options=Options(jobs=1_000_000, repeats=1),
    quick=Options(jobs=50_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
