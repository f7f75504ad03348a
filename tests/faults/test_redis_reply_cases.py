"""Replies that are lost, late, cut or come in pieces: the work was done, or not, and is done once."""

import asyncio
from collections import Counter

import pytest

from aiojobs_engine.backends.redis.script import load
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.state import Status
from tests.faults.redis_scene import meanwhile, proxied, staged
from tests.servers.proxy import Match, script
from tests.servers.server import Server, until

LIFE = ("JobCreated", "JobStarted", "JobCompleted")


def verb(name: str) -> Match:
    return script(load(name))


@pytest.mark.case("R10")
async def test_an_enqueue_whose_reply_is_lost_stores_one_job(own_server: Server) -> None:
    async with proxied(own_server) as (stage, proxy):
        lost = proxy.swallow(verb("enqueue"), times=3)

        (answer,) = await stage.put("a")

        assert lost.struck == 3
        assert (answer.job_id, answer.created, answer.conflict) == ("a", False, False)
        assert [claim.envelope.id for claim in await stage.take()] == ["a"]
        assert await stage.told("a") == ["JobCreated", "JobStarted"]


@pytest.mark.case("R10")
async def test_an_enqueue_that_never_arrived_stores_one_job(own_server: Server) -> None:
    async with proxied(own_server) as (stage, proxy):
        proxy.lose(verb("enqueue"), times=2)

        (answer,) = await stage.put("a")

        assert answer.created
        assert len(await stage.take()) == 1


@pytest.mark.case("R11")
async def test_a_claim_whose_reply_is_lost_is_answered_with_the_same_leases(own_server: Server) -> None:
    async with proxied(own_server) as (stage, proxy):
        await stage.put("a", "b", "c")
        lost = proxy.swallow(verb("claim"), times=2)

        claims = await stage.take(2)

        assert lost.struck == 2
        assert [(claim.envelope.id, claim.lease.token) for claim in claims] == [("a", 1), ("b", 1)]
        assert await stage.is_at("a", "b", "c") == [Status.PROCESSING, Status.PROCESSING, Status.PENDING]
        assert await stage.told("a") == ["JobCreated", "JobStarted"]


@pytest.mark.case("R12")
async def test_a_settlement_whose_reply_is_lost_counts_once(own_server: Server) -> None:
    async with proxied(own_server) as (stage, proxy):
        claim = await stage.start("a")
        lost = proxy.swallow(verb("settle"), times=3)

        assert await stage.settle(claim, Status.COMPLETED, result=b"1")

        assert lost.struck == 3
        status = await stage.status("a")
        assert (status.status, status.attempts) == (Status.COMPLETED, 1)
        assert await stage.told("a") == ["JobCreated", "JobStarted", "JobCompleted"]


@pytest.mark.case("R13")
async def test_an_old_renewal_that_arrives_late_renews_nothing(own_server: Server) -> None:
    async with proxied(own_server) as (stage, proxy):
        claim = await stage.start("a")
        held = proxy.hold(verb("extend"))

        (renewed,) = await stage.backend.extend([claim.lease], 30.0)
        assert renewed.held
        assert held.struck == 1
        assert await stage.settle(claim, Status.PENDING)
        again = await stage.take_one(worker="w2", lease=5.0)
        assert again.lease.token == 2
        end_of_lease = own_server.run("ZRANGE", "aiojobs:{aiojobs}:leases", 0, -1, "WITHSCORES")
        held.released.set()
        (stale,) = await stage.backend.extend([claim.lease], 600.0)

        assert not stale.held
        assert own_server.run("ZRANGE", "aiojobs:{aiojobs}:leases", 0, -1, "WITHSCORES") == end_of_lease


@pytest.mark.case("R14")
async def test_a_server_that_falls_silent_is_noticed_by_the_timeout(own_server: Server) -> None:
    async with proxied(own_server, "timeout=0.3&retry_for=0.5&connect_timeout=0.3") as (stage, proxy):
        await stage.put("a")
        proxy.blackhole()

        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(BackendUnavailable, match="repeat the call"):
            await stage.put("b")
        assert loop.time() - began < 5

        proxy.heal()
        await stage.put("b")
        assert len(await stage.take()) == 2


@pytest.mark.case("R15")
async def test_replies_in_single_bytes_halves_and_ruins_change_nothing(own_server: Server) -> None:
    async with proxied(own_server, "timeout=5&retry_for=5") as (stage, proxy):
        proxy.dribble(0.01)
        for number in range(3):
            for name in ("enqueue", "claim", "settle"):
                proxy.halve(verb(name))
            await stage.put(f"job{number}", payload=b'{"text":"' + b"x" * 2000 + b'"}')
            claim = await stage.take_one()
            proxy.cut()
            assert await stage.settle(claim, Status.COMPLETED)

        assert await stage.is_at("job0", "job1", "job2") == [Status.COMPLETED] * 3
        told = [await stage.told(f"job{number}") for number in range(3)]
        assert told == [["JobCreated", "JobStarted", "JobCompleted"]] * 3


@pytest.mark.case("R3")
async def test_a_server_that_forgets_its_scripts_all_the_time_is_no_trouble(own_server: Server) -> None:
    async with staged(own_server.url) as stage:
        with own_server.client() as operator:
            async with meanwhile(operator.script_flush, 0.01) as flushes:
                for number in range(100):
                    await stage.put(f"job{number}")
                    claim = await stage.take_one()
                    assert await stage.settle(claim, Status.COMPLETED)
                while flushes[0] < 20:
                    await stage.take()

        assert all(status is Status.COMPLETED for status in await stage.is_at(*_names(100)))


@pytest.mark.case("R5")
async def test_connections_cut_over_and_over_lose_and_double_nothing(own_server: Server) -> None:
    async with staged(own_server.url) as stage:
        with own_server.client() as operator:

            def kill() -> None:
                operator.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

            async with meanwhile(kill, 0.05) as kills:
                names: list[str] = []
                while kills[0] < 20:
                    names.append(f"job{len(names)}")
                    (answer,) = await stage.put(names[-1])
                    assert not answer.conflict
                    (claim,) = await stage.take(1)
                    assert await stage.settle(claim, Status.COMPLETED)

        assert len(await stage.all_jobs()) == len(names)
        told = Counter((event.job_id, type(event).__name__) for event in await stage.events())
        assert told == {(name, kind): 1 for name in names for kind in LIFE}


@pytest.mark.case("R17")
async def test_fifty_callers_share_one_connection_and_all_are_served(own_server: Server) -> None:
    async with proxied(own_server) as (stage, proxy):
        proxy.dribble(0.0)

        answers = await asyncio.gather(*(stage.put(f"job{number}") for number in range(50)))

        assert [answer.job_id for (answer,) in answers] == _names(50)
        assert proxy.connections == 1


@pytest.mark.case("R22")
async def test_the_first_call_after_the_server_dropped_an_idle_connection_succeeds(
    own_server: Server,
) -> None:
    async with staged(own_server.url) as stage:
        await stage.put("a")
        own_server.run("CONFIG", "SET", "timeout", 1)
        await asyncio.to_thread(until, lambda: not _others(own_server), "the end of idle connections")

        (answer,) = await stage.put("b")

        assert answer.created


def _others(server: Server) -> int:
    """How many clients there are beside the operator."""
    return len(server.run("CLIENT", "LIST", "TYPE", "normal").splitlines()) - 1


def _names(count: int) -> list[str]:
    return [f"job{number}" for number in range(count)]
