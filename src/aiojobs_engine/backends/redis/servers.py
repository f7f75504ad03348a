"""What a checkup says of the servers themselves: their settings, their disks, their clocks."""

from collections.abc import Iterator, Mapping

from aiojobs_engine.backends.redis.checks import holes, open_doors, read_info
from aiojobs_engine.backends.redis.client import Client
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.checkup import Finding, Severity
from aiojobs_engine.ports.clock import Clock

_SKEW_MS = 1000
_FULL = 0.9


async def examine_servers(client: Client, clock: Clock) -> list[Finding]:
    """What is wrong with the servers that a client leads to."""
    found = list(open_doors(client.address))
    try:
        answers = await client.everywhere("INFO")
    except BackendUnavailable as refusal:
        if "NOPERM" not in str(refusal):
            raise
        return [
            *found,
            _finding("note", "this user may not ask INFO, so settings were not looked at", client),
        ]
    for server, answer in answers.items():
        info = read_info(answer)
        found += [*holes(info, server), *_memory(info, server), *_disk(info, server), *_copies(info, server)]
    return [*found, *await _clocks(client, clock)]


def _memory(info: Mapping[str, str], server: str) -> Iterator[Finding]:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        what = f"maxmemory-policy is {policy}, which throws jobs away when memory runs out"
        yield Finding(severity="error", what=what, where=server, advice="set it to noeviction")
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if most and used > _FULL * most:
        what = f"{used / most:.0%} of maxmemory are used; when it is full, dispatches are refused"
        yield Finding(severity="warning", what=what, where=server, advice="raise it, or prune jobs")


def _disk(info: Mapping[str, str], server: str) -> Iterator[Finding]:
    if info.get("loading") == "1":
        return
    if info.get("aof_enabled") == "0":
        yield Finding(
            severity="warning",
            what="appendonly is off, so a restart forgets all since the last snapshot",
            where=server,
            advice="set appendonly yes",
        )
    for name, shown in (
        ("aof_last_write_status", "write of the log"),
        ("rdb_last_bgsave_status", "snapshot"),
    ):
        if info.get(name, "ok") != "ok":
            what = f"the last {shown} to disk failed"
            yield Finding(
                severity="error", what=what, where=server, advice="see the server's log, free disk space"
            )


def _copies(info: Mapping[str, str], server: str) -> Iterator[Finding]:
    if info.get("role") == "slave":
        what = "it is a replica, which takes no writes"
        yield Finding(severity="error", what=what, where=server, advice="name the primary in the URL")


async def _clocks(client: Client, clock: Clock) -> list[Finding]:
    before = clock.now()
    answers = await client.everywhere("TIME")
    after = clock.now()
    return [
        Finding(
            severity="warning",
            what=f"its clock is {abs(skew) / 1000:,.1f} s {'ahead of' if skew > 0 else 'behind'} this one",
            where=server,
            advice="let both follow NTP: delays, expiry and cron go by the server's clock",
        )
        for server, (seconds, micros) in answers.items()
        if abs(skew := _skew(Instant(int(seconds) * 1000 + int(micros) // 1000), before, after)) > _SKEW_MS
    ]


def _skew(theirs: Instant, before: Instant, after: Instant) -> int:
    """By how many ms their clock surely is ahead; it was read between two looks at ours."""
    if theirs > after:
        return theirs - after
    return min(0, theirs - before)


def _finding(severity: Severity, what: str, client: Client) -> Finding:
    return Finding(severity=severity, what=what, where=client.address.shown, advice="use a user that may")
