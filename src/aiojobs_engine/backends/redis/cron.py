"""The Redis store: cron entries and their fires."""

from collections.abc import Sequence
from typing import Any

import msgspec

from aiojobs_engine.backends.redis.new_jobs import encoded_job, encoded_links
from aiojobs_engine.backends.redis.part import Part
from aiojobs_engine.backends.redis.rows import encode
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.views import listing_end
from aiojobs_engine.ports.cron import (
    ON_TIME,
    UNSEEN_AFTER,
    CronEntry,
    CronFire,
    CronRecord,
    Fire,
    Fired,
    FireOutcome,
)


class _Stored(msgspec.Struct):
    """An entry as `put_crons.lua` keeps it."""

    body: str
    revision: str
    enabled: bool
    settled: int
    seen: int


_stored = msgspec.msgpack.Decoder(_Stored).decode
_entry = msgspec.json.Decoder(CronEntry).decode
_fire = msgspec.json.Decoder(CronFire).decode


class RedisCron(Part):
    """`CronStore` of the Redis store; what each verb means stands in the port."""

    async def put_crons(self, entries: Sequence[CronEntry], *, takes_over: bool = True) -> list[bool]:
        """Store entries, change or announce them."""
        if not entries:
            return []
        given = [
            (entry.name, encode(entry).decode(), entry.revision, entry.is_code, entry.overlap)
            for entry in entries
        ]
        request = (takes_over, round(ON_TIME * 1000), round(UNSEEN_AFTER * 1000), given)
        return [answer == 1 for answer in await self._home.run("put_crons", request)]

    async def remove_crons(self, names: Sequence[str]) -> list[bool]:
        """Forget entries and their history."""
        return [answer == 1 for answer in await self._home.run("remove_crons", names)] if names else []

    async def enable_crons(self, names: Sequence[str], *, is_enabled: bool) -> list[bool]:
        """Let entries fire, or not."""
        if not names:
            return []
        return [answer == 1 for answer in await self._home.run("enable_crons", (is_enabled, names))]

    async def crons_version(self) -> int:
        """A number that changes with the entries."""
        return int(await self._home.client.command("HGET", self._home.key, "crons") or 0)

    async def crons(self) -> list[CronRecord]:
        """All entries, by name."""
        reply = await self._home.run("crons")
        rows = sorted(zip(reply[::3], reply[1::3], reply[2::3], strict=True), key=lambda row: row[0].decode())
        return [_record(_stored(stored), last) for _, stored, last in rows]

    async def fire(self, fires: Sequence[Fire]) -> list[Fired]:
        """Fire entries; see the port."""
        if not fires:
            return []
        bodies: list[bytes] = []
        request = [
            (
                fire.name,
                fire.revision,
                fire.at,
                False if fire.job is None else self._encoded(fire.job, bodies),
                False if fire.missed_from is None else fire.missed_from,
                fire.by_hand,
                False if fire.waits_for is None else fire.waits_for,
            )
            for fire in fires
        ]
        answers = await self._home.write("fire", request, bodies)
        return [
            Fired(FireOutcome(outcome.decode()), Instant(int(settled)))
            for outcome, settled in zip(answers[::2], answers[1::2], strict=True)
        ]

    def _encoded(self, job: Envelope, bodies: list[bytes]) -> tuple[Any, ...]:
        return (*encoded_job(job, self._home.lanes, bodies), encoded_links(job))

    async def cron_history(
        self, name: str, limit: int, cursor: str | None
    ) -> tuple[list[CronFire], str | None]:
        """At most `limit` fires of an entry, the newest first."""
        end = listing_end(cursor)
        told = await self._home.client.command("LRANGE", f"{self._home.prefix}fires:{name}", 0, -1)
        numbered = [line.partition(b" ") for line in told]
        kept = [(int(number), body) for number, _, body in numbered if int(number) < end]
        shown = kept[: max(1, limit)]
        return [_fire(body) for _, body in shown], str(shown[-1][0]) if len(kept) > len(shown) else None


def _record(stored: _Stored, last: bytes | None) -> CronRecord:
    return CronRecord(
        entry=_entry(stored.body),
        revision=stored.revision,
        is_enabled=stored.enabled,
        settled_to=Instant(stored.settled),
        seen_at=Instant(stored.seen),
        last=None if last is None else _fire(last.partition(b" ")[2]),
    )
