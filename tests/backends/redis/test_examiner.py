"""What `doctor` finds in Redis: each kind of orphan is planted, and nothing is found where nothing is."""

import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from aiojobs_engine.backends.redis import RedisBackend, examiner, keys
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.core.envelope import Need
from aiojobs_engine.core.needs import When
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.uniqueness import UniqueKey
from aiojobs_engine.ports.checkup import Finding
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.servers.fixtures import documented_rule, narrow
from tests.servers.server import Server


class World(NamedTuple):
    """A store with a job of every standing, and its server's bare commands; `KEY` stands before key names."""

    stage: Stage
    server: Server
    prefix: str

    def run(self, command: str, key: str, *words: object) -> Any:
        return self.server.run(command, self.prefix + key, *words)

    def plant(self, command: str) -> None:
        """Run a command in which `{names}` stand for the places of jobs, and for fields that are there."""
        jobs = {name: name for name in ("running", "ended", "later", "pending", "bulk")} | {"chunk": "bulk:1"}
        there = {name: str(int(self.run("ZSCORE", "jobs", job_id))) for name, job_id in jobs.items()}
        there |= {key: self.run("HKEYS", key)[0].decode() for key in ("lines", "tally")}
        lanes = [name.decode() for name in self.run("HKEYS", "lanes")]
        (there["lane"],) = [
            lane for lane in lanes if self.run("ZSCORE", f"lane:{lane}", there["pending"]) is not None
        ]
        verb, key, *words = [word.format(**there) for word in command.split()]
        self.run(verb, key, *(word.encode(errors="surrogateescape") for word in words))

    async def errors(self) -> list[Finding]:
        backend = self.stage.backend
        assert isinstance(backend, RedisBackend)
        return [finding for finding in await backend.examine() if finding.severity == "error"]


@pytest.fixture
async def world(servers: dict[str, Server], valkey_url: str, prefix: str) -> AsyncIterator[World]:
    clock = ManualClock()
    backend = RedisBackend(read_address(valkey_url), clock=SystemClock(), stamps=clock)
    await backend.open()
    stage = Stage(backend, clock)
    await stage.plan("bulk", chunks=2)
    await stage.put("running", queue="other")
    await stage.take_one(queues=["other"])
    await stage.put("ended", queue="other")
    ended = await stage.take_one(queues=["other"])
    await stage.settle(ended, Status.COMPLETED, result=b"1", result_until=stage.after(60))
    await stage.put("later", scheduled_at=stage.after(60), expires_at=stage.after(90))
    await stage.put("unique", unique=UniqueKey(key="k"))
    await stage.put("dependent", needs=(Need("later", When.SUCCESS),))
    await stage.limit(type="work", by_key=True, concurrency=1)
    await stage.put("keyed", "held", limit_key="x")
    await stage.put("fair", fair_key="me")
    await stage.put("pending")
    yield World(stage, servers["valkey"], f"{prefix}:{{{prefix}}}:")
    await backend.close()


async def test_nothing_is_found_where_nothing_is(world: World) -> None:
    assert await world.errors() == []


def test_every_key_on_the_page_is_known_to_it() -> None:
    page = re.findall(r"^    aiojobs:\{\*\}:([a-z]+)(:?)", str(keys.__doc__), re.MULTILINE)

    assert {name for name, colon in page if colon} == examiner.FAMILIES
    assert {name for name, colon in page if not colon} == examiner.PLAIN | examiner.OF_ENTRIES


PLANTED = {
    "a job without a body": ("HDEL body {pending}", "lost their envelope and can't run: 1 (pending)"),
    "a damaged body": ("HSET body {pending} x", "can't be read: 1 (pending)"),
    "a damaged state": ("HSET state {running} \xff", "can't be read: 1 (running)"),
    "a pending job on no lane": (
        "ZREM lane:{lane} {pending}",
        "missing on their lane, where workers look for them: 1 (pending)",
    ),
    "a held job that is parked nowhere": (
        "DEL parked:{lines}",
        "missing on their lane, where workers look for them: 1 (held)",
    ),
    "a job for later that never becomes due": (
        "ZREM due {later}",
        "missing among those that become due, and never will: 1 (later)",
    ),
    "a running job without a lease": (
        "ZREM leases {running}",
        "have no lease that could run out, so nobody takes them over: 1 (running)",
    ),
    "an ended job that is never pruned": (
        "ZREM ended:6 {ended}",
        "missing among those that are pruned, and stay for ever: 1 (ended)",
    ),
    "a job that never expires": ("ZREM expiring {later}", "missing among those that do: 1 (later)"),
    "a result that is never dropped": (
        "ZREM kept {ended}",
        "missing among those that are dropped in time: 1 (ended)",
    ),
    "a unique job that keeps nobody out": ("DEL uniques", "keeps others of their key out: 1 (unique)"),
    "a chunk that its parent lost": (
        "ZREM chunks:{bulk} {chunk}",
        "are unknown to the job that they belong to: 1 (bulk:1)",
    ),
    "a parent that counts wrongly": (
        "ZADD chunks:{bulk} 0 {pending}",
        "count their chunks or members wrongly, and may never end: 1 (bulk)",
    ),
    "a body without a job": ("HSET body 7 x", "`body` belong to no job: 1 (7)"),
    "a state without a job": ("HSET state 7 x", "`state` belong to no job: 1 (7)"),
    "an entry of a lane without a job": ("ZADD lane:{lane} 0 7", "`lane` belong to no job: 1 (7)"),
    "a running job on a lane": (
        "ZADD lane:{lane} 0 {running}",
        "`lane` name jobs whose state says that they stand elsewhere: 1",
    ),
    "an entry of due without a job": ("ZADD due 0 7", "`due` belong to no job: 1 (7)"),
    "a pending job that is leased": (
        "ZADD leases 9e15 {pending}",
        "`leases` name jobs whose state says that they stand elsewhere: 1",
    ),
    "a pending job among the ended": (
        "ZADD ended:8 0 {pending}",
        "`ended` name jobs whose state says that they stand elsewhere: 1",
    ),
    "an ended job that may expire": (
        "ZADD expiring 9e15 {ended}",
        "`expiring` name jobs whose state says that they stand elsewhere: 1",
    ),
    "a result of no job": ("ZADD kept 9e15 7", "`kept` belong to no job: 1 (7)"),
    "a key that no job has": ("ZADD uniques 0 abc:7", "`uniques` belong to no job: 1 (abc:7)"),
    "chunks of no job": ("ZADD chunks:7 0 8", "`chunks` belong to no job: 1 (8)"),
    "someone who waits for a job that is gone": (
        "ZADD dependents:7 0 {pending}:success",
        "`dependents` belong to no job: 1 (",
    ),
    "someone who was cancelled for want of a job that is gone": (
        "ZADD lost:7 0 8:0",
        "`lost` belong to no job: 1 (8:0)",
    ),
    "failed rows of no job": ("ZADD rows:7 1 1", "`rows` belong to no job: 1 (1)"),
    "histories of failed rows of no job": ("HSET faults:7 1 x", "`faults` belong to no job: 1 (1)"),
    "an entry that is no text": ("ZADD due 0 \udcff\udcfe", "`due` belong to no job: 1"),
    "a tally that says one too many": ("HINCRBY tally {tally} 1", "the tally says"),
    "an unknown key": ("SET mine 1", "none of this release's: 1 (mine)"),
    "a lane that nobody knows": (
        "ZADD lane:AAAAAAAA 0 {pending}",
        "lane, line, queue or cron entry that is not there: 1 (lane:AAAAAAAA)",
    ),
    "fires of no cron entry": (
        "LPUSH fires:gone x",
        "lane, line, queue or cron entry that is not there: 1 (fires:gone)",
    ),
}
"""What is planted, as a command in which names stand for what is there, and what is told of it."""


@pytest.mark.parametrize("name", PLANTED)
async def test_what_is_planted_is_found(world: World, name: str) -> None:
    command, expected = PLANTED[name]
    world.plant(command)

    found = await world.errors()

    assert any(expected in finding.what for finding in found), found
    assert all(finding.where.startswith(world.prefix) and finding.advice for finding in found)


async def test_what_is_late_is_a_warning(world: World) -> None:
    await world.stage.clock.advance(200)
    backend = world.stage.backend
    assert isinstance(backend, RedisBackend)

    warnings = [finding.what for finding in await backend.examine() if finding.severity == "warning"]

    assert any("1 leases ended over a minute ago" in what for what in warnings)
    assert any("1 jobs have been due for over a minute" in what for what in warnings)


async def test_a_user_who_may_not_scan_is_told_what_was_left_out(
    servers: dict[str, Server], prefix: str
) -> None:
    url = narrow(documented_rule(), servers["valkey"], prefix)
    backend = RedisBackend(read_address(url), clock=SystemClock())
    await backend.open()
    (note,) = [finding for finding in await backend.examine() if finding.severity == "note"]
    assert "may not scan" in note.what

    servers["valkey"].run("ACL", "SETUSER", f"jobs-{prefix}", *documented_rule("acl-doctor"))
    assert [finding for finding in await backend.examine() if finding.severity != "warning"] == []
    await backend.close()


async def test_a_server_with_wrong_settings_is_told(own_server: Server) -> None:
    backend = RedisBackend(read_address(f"{own_server.url}?any_eviction=true"), clock=SystemClock())
    await backend.open()
    assert await backend.examine() == []

    own_server.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1mb", "appendonly", "no")
    found = {finding.what.partition(",")[0]: finding.severity for finding in await backend.examine()}
    used = next(what for what in found if "of maxmemory" in what)

    assert found == {
        "maxmemory-policy is allkeys-lru": "error",
        used: "warning",
        "appendonly is off": "warning",
    }
    await backend.close()


async def test_clocks_that_differ_are_told(valkey_url: str) -> None:
    clock = ManualClock()
    backend = RedisBackend(read_address(valkey_url), clock=clock)
    await backend.open()

    found = [finding for finding in await backend.examine() if "clock" in finding.what]

    assert [finding.severity for finding in found] == ["warning"]
    assert "s ahead of this one" in found[0].what
    await backend.close()
