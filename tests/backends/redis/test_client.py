"""The client on real servers: scripts, batches, order, and what it does about refusals."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.redis.bell import Bell
from aiojobs_engine.backends.redis.client import Client
from aiojobs_engine.backends.redis.errors import Refused
from aiojobs_engine.backends.redis.script import Call, Command, script_of
from aiojobs_engine.core.errors import BackendClosed, BackendFull, BackendUnavailable, ConfigError
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.runtime.task_group import start
from tests.servers.groups import Cluster, Watched
from tests.servers.server import Server

PUSH = script_of("push", b"return redis.call('RPUSH', KEYS[1], ARGV[1])")
FAULTY = script_of("faulty", b"return redis.call('LPUSH', KEYS[1])")
PUBLISH = script_of("publish", b"return redis.call('PUBLISH', ARGV[1], '')")


def made(url: str) -> Client:
    return Client(read_address(url), clock=SystemClock())


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Client]:
    client = made(redis_url)
    await client.open()
    yield client
    await client.close()


async def test_a_script_that_no_server_knows_yet_runs(client: Client, prefix: str) -> None:
    assert await client.call(PUSH, [f"{prefix}:{{a}}"], ["x"]) == 1
    assert await client.call(PUSH, [f"{prefix}:{{a}}"], ["y"]) == 2
    assert await client.command("LRANGE", f"{prefix}:{{a}}", 0, -1) == [b"x", b"y"]


async def test_batches_are_answered_in_order_whichever_server_has_the_keys(
    client: Client, prefix: str
) -> None:
    keys = [f"{prefix}:{{{number % 7}}}" for number in range(50)]

    replies = await client.calls([Call(PUSH, [key], ["x"]) for key in keys])

    assert replies == [number // 7 + 1 for number in range(50)]
    lengths = await client.send([Command(("LLEN", key), key) for key in keys[:7]])
    assert lengths == [8, 7, 7, 7, 7, 7, 7]


async def test_calls_at_once_share_the_connection_and_come_back_to_their_callers(
    client: Client, prefix: str
) -> None:
    keys = [f"{prefix}:{{{number}}}" for number in range(200)]

    await asyncio.gather(*(client.call(PUSH, [key], [key]) for key in keys))

    values = await asyncio.gather(*(client.command("LINDEX", key, 0) for key in keys))
    assert values == [key.encode() for key in keys]


async def test_a_cancelled_call_leaves_the_next_replies_in_step(client: Client, prefix: str) -> None:
    for number in range(50):
        doomed = start(client.command("GET", f"{prefix}:{{none}}"), "doomed")
        await checkpoint()
        doomed.cancel()
        assert await client.call(PUSH, [f"{prefix}:{{list}}"], ["x"]) == number + 1


async def test_a_fault_of_a_script_is_raised_as_it_is_and_harms_nobody_else(
    client: Client, prefix: str
) -> None:
    with pytest.raises(Refused, match=r"(?i)wrong number of arg"):
        await client.calls([Call(FAULTY, [f"{prefix}:{{a}}"]), Call(PUSH, [f"{prefix}:{{b}}"], ["x"])])

    assert await client.command("LLEN", f"{prefix}:{{b}}") == 1


async def test_each_primary_is_asked(client: Client) -> None:
    answers = await client.everywhere("DBSIZE")

    assert len(answers) == (3 if client.address.kind == "cluster" else 1)


async def test_a_closed_client_says_so(client: Client) -> None:
    await client.close()
    await client.close()

    with pytest.raises(BackendClosed, match="async with"):
        await client.command("GET", "a")


async def test_commands_and_round_trips_are_counted(client: Client, prefix: str) -> None:
    await client.call(PUSH, [f"{prefix}:{{a}}"], ["x"])
    commands, round_trips = client.commands, client.round_trips

    await client.calls([Call(PUSH, [f"{prefix}:{{a}}"], ["x"])] * 100)

    assert (client.commands - commands, client.round_trips - round_trips) == (100, 1)


async def test_a_bell_rings_for_its_own_channels(client: Client, prefix: str) -> None:
    bell = Bell(client, SystemClock())

    async with (
        bell.listening([f"{prefix}:{{a}}", f"{prefix}:{{b}}"]) as wake,
        bell.listening([f"{prefix}:c"]) as other,
    ):
        await client.call(PUBLISH, [f"{prefix}:{{key}}"], [f"{prefix}:{{b}}"])
        assert await wake.wait(5)
        assert not await other.wait(0.05)
    await bell.close()


async def test_a_channel_that_nobody_listens_to_any_more_is_left_at_the_next_message(
    client: Client, prefix: str
) -> None:
    bell = Bell(client, SystemClock())
    async with bell.listening([f"{prefix}:{{a}}"]):
        pass

    async def heard_by() -> int:
        return int(await client.call(PUBLISH, [f"{prefix}:{{key}}"], [f"{prefix}:{{a}}"]))

    # a Cluster counts the listeners of the server that was asked
    heard = [await heard_by() for _ in range(50)]
    assert heard[-1] == 0
    assert heard == sorted(heard, reverse=True)
    async with bell.listening([f"{prefix}:{{a}}"]) as wake:
        await heard_by()
        assert await wake.wait(5)
    await bell.close()


async def test_a_bell_that_was_cut_off_rings_in_doubt_and_listens_again(
    own_server: Server, prefix: str
) -> None:
    client = made(own_server.url)
    await client.open()
    bell = Bell(client, SystemClock())
    async with bell.listening([f"{prefix}:{{a}}"]) as wake:
        own_server.run("CLIENT", "KILL", "TYPE", "pubsub")
        assert await wake.wait(5)
    async with bell.listening([f"{prefix}:{{a}}"]) as wake:
        assert await client.call(PUBLISH, [f"{prefix}:{{key}}"], [f"{prefix}:{{a}}"]) == 1
        assert await wake.wait(5)
    await bell.close()
    await client.close()


async def test_sentinels_lead_to_the_primary_also_after_a_failover(watched: Watched, prefix: str) -> None:
    client = made(f"{watched.url}?prefix={prefix}")
    await client.open()
    try:
        await client.call(PUSH, [f"{prefix}:{{a}}"], ["x"])
        watched.fail_over()
        await client.call(PUSH, [f"{prefix}:{{b}}"], ["x"])

        assert watched.primary.run("EXISTS", f"{prefix}:{{b}}") == 1
    finally:
        await client.close()


async def test_a_service_that_the_sentinels_do_not_know_is_named(watched: Watched) -> None:
    client = made(watched.url.replace("/jobs/", "/jbos/"))

    with pytest.raises(BackendUnavailable, match="jbos"):
        await client.open()


async def _until_pushed(client: Client, key: str) -> None:
    assert await client.call(PUSH, [key], ["y"]) == 2


async def test_a_slot_that_moves_is_followed_and_no_script_sees_half_of_it(
    cluster: Cluster, prefix: str
) -> None:
    client = made(cluster.url)
    await client.open()
    key = f"{prefix}:{{moving}}"
    await client.call(PUSH, [key], ["x"])
    slot = int(cluster.nodes[0].run("CLUSTER", "KEYSLOT", key))
    source = cluster.owner(slot)
    target = next(node for node in cluster.nodes if node is not source)

    target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.name(source))
    source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.name(target))
    waiting = start(_until_pushed(client, key), "waiting")
    assert await client.command("LLEN", key) == 1
    source.run("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
    assert await client.command("LLEN", key) == 1
    assert not waiting.done()
    for node in (target, source):
        node.run("CLUSTER", "SETSLOT", slot, "NODE", cluster.name(target))
    await waiting
    assert await client.call(PUSH, [key], ["z"]) == 3

    await client.close()


async def test_a_server_without_memory_is_full(own_server: Server) -> None:
    own_server.run("CONFIG", "SET", "maxmemory", 1)
    client = made(own_server.url)
    await client.open()

    with pytest.raises(BackendFull, match="maxmemory"):
        await client.call(PUSH, ["a"], ["x"])
    own_server.run("CONFIG", "SET", "maxmemory", 0)
    assert await client.call(PUSH, ["a"], ["x"]) == 1

    await client.close()


async def test_a_wrong_password_is_a_wrong_setting_and_is_not_shown(own_server: Server) -> None:
    own_server.run("CONFIG", "SET", "requirepass", "open sesame")
    for user in ("", ":open%20barley@"):
        client = made(f"redis://{user}127.0.0.1:{own_server.port}")
        with pytest.raises(ConfigError, match="will not have this engine") as caught:
            await client.open()
        assert "barley" not in str(caught.value)


async def test_nobody_at_home_is_told_at_once(own_server: Server) -> None:
    own_server.shut_down()
    client = made(own_server.url)

    with pytest.raises(BackendUnavailable, match="repeat the call"):
        await client.open()
