"""What a batch costs in commands and round trips, which no noise of the machine hides."""

from collections.abc import Sequence
from typing import Any

from aiojobs_engine.core.events import JobCancelled, JobEvent
from aiojobs_engine.core.state import Status
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing.conformance.stage import Stage
from tests.servers.server import Server

JOBS = 1000
FEW = 40


class Costs:
    """What was sent, and what scripts did on the server, since the last look."""

    def __init__(self, backend: Any, server: Server) -> None:
        self._backend = backend
        self._server = server
        self._seen = self._now()

    def look(self) -> tuple[int, int, int]:
        """Commands sent, round trips, and commands that ran in scripts."""
        before, self._seen = self._seen, self._now()
        sent, trips, calls = (now - then for now, then in zip(self._seen, before, strict=True))
        return sent, trips, calls - sent

    def _now(self) -> tuple[int, int, int]:
        stats = self._server.run("INFO", "commandstats")
        calls = sum(stat["calls"] for name, stat in stats.items() if name != "cmdstat_info")
        return self._backend.client.commands, self._backend.client.round_trips, calls


async def test_a_batch_is_one_command_and_few_on_the_server(stage: Stage, servers: dict[str, Server]) -> None:
    await stage.put("first")
    (first,) = await stage.take()
    await stage.backend.extend([first.lease], 30)
    await stage.settle(first, Status.COMPLETED)
    names = [f"job-{number:05d}" for number in range(JOBS)]
    costs = Costs(stage.backend, servers["valkey"])

    await stage.put(*names)
    sent, trips, inside = costs.look()
    assert (sent, trips) == (1, 1)
    assert inside < FEW

    claims = await stage.take(JOBS)
    sent, trips, inside = costs.look()
    assert (len(claims), sent, trips) == (JOBS, 1, 1)
    assert inside < FEW

    await stage.backend.extend([claim.lease for claim in claims], 30)
    sent, trips, inside = costs.look()
    assert (sent, trips) == (1, 1)
    assert inside < FEW

    await stage.backend.settle([stage.settlement(claim, Status.COMPLETED) for claim in claims])
    sent, trips, inside = costs.look()
    assert (sent, trips) == (1, 1)
    assert inside < FEW


async def test_new_jobs_are_read_from_no_answer_where_nobody_wants_to_hear_of_them(stage: Stage) -> None:
    seen: list[type[JobEvent]] = []

    def pick(events: Sequence[JobEvent]) -> list[int]:
        seen.extend(map(type, events))
        return []

    stage.backend.tap(print, pick, (JobCancelled,))
    await stage.put("a", "b")
    assert seen == []

    await stage.backend.cancel(["a"])
    assert seen == [JobCancelled]


async def test_a_bound_costs_two_commands_for_a_batch_and_none_where_there_is_none(
    stage: Stage, servers: dict[str, Server]
) -> None:
    await stage.put("first")
    names = [f"job-{number:05d}" for number in range(JOBS)]
    costs = Costs(stage.backend, servers["valkey"])
    await stage.put(*names)
    _, _, without = costs.look()

    for overflow, more in (("refuse", 2), ("drop_newest", 2), ("drop_oldest", 2)):
        await stage.limit(max_pending=1_000_000, overflow=overflow)
        costs.look()
        await stage.put(*[f"{overflow}-{name}" for name in names])
        assert costs.look() == (1, 1, without + more)


async def test_who_waits_asks_once_and_is_woken(stage: Stage) -> None:
    client = stage.backend.client  # type: ignore[attr-defined]
    await stage.put("a")
    (claim,) = await stage.take()
    await stage.wait(0)
    waiting = start(stage.wait(60), "waiting")
    before = client.commands

    assert not await stage.ends_within(waiting, 30)
    assert client.commands - before <= 1

    await stage.settle(claim, Status.PENDING)
    assert await stage.ends_within(waiting, 5)
