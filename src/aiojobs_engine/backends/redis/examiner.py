"""The Redis store: whether what it holds agrees with itself."""

from collections import Counter
from collections.abc import AsyncIterator, Container, Sequence
from typing import Any, NamedTuple

from aiojobs_engine.backends.redis.ailments import HASHES, OF_JOBS, Ailment, Ledger, of_entries
from aiojobs_engine.backends.redis.errors import Refused
from aiojobs_engine.backends.redis.keys import CODES, LANE_CHARS, STATUSES
from aiojobs_engine.backends.redis.part import Part
from aiojobs_engine.backends.redis.script import Command
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.checkup import Finding

_PAGE = 250
_LATE_MS = 60_000
PLAIN = frozenset(
    {
        *("meta", "jobs", "lanes", "claims", "tally", "limits", "rates", "lines", "again", "turns", "events"),
        *("places", "paused", "waiting", "workers", "types", "crons", "executions", "executed"),
    }
)
OF_ENTRIES = frozenset({"body", "state", "due", "expiring", "leases", "kept", "uniques"})
FAMILIES = frozenset(
    {"lane", "ended", "open", "parked", "chunks", "dependents", "lost", "rows", "faults", "ends", "fires"}
)
_ENDED = frozenset(str(code) for code in range(CODES[Status.COMPLETED], len(STATUSES)))
_LISTS = frozenset({"ends", "fires"})
_UNKNOWN = Ailment(
    "keys are none of this release's", "delete them, unless a newer release or a program of yours made them"
)
_LEFT_OVER = Ailment("keys belong to a lane, line, queue or cron entry that is not there", "delete them")


class _Counts(NamedTuple):
    """Sizes of keys, what is late, and the number of events told."""

    jobs: int
    bodies: int
    leases: int
    due: int
    late_leases: int
    late_jobs: int
    events: int


class _Totals(NamedTuple):
    """Numbers of one moment; see `examine_totals.lua`."""

    counts: _Counts
    place: bytes
    lanes: dict[str, int]
    tally: dict[str, int]
    lines: dict[str, int]
    turns: frozenset[str]
    crons: frozenset[str]


class RedisExaminer(Part):
    """`Examinable` of the Redis store, in one home: page by page, each judged at one moment."""

    async def examine(self) -> list[Finding]:
        """What is wrong with the keys of this home."""
        found, before = Ledger(self._home.prefix), await self._totals()
        counted = await self._look_at_jobs(found)
        missing = await self._look_at_keys(found, before)
        after = await self._totals()
        return [
            *found.findings(),
            *missing,
            *self._late(after),
            *self._sums(after),
            *self._recount(before, after, counted),
        ]

    async def _totals(self) -> _Totals:
        numbers, lanes, pending, tally, lines, parked, turns, crons = await self._home.run(
            "examine_totals", _LATE_MS
        )
        return _Totals(
            counts=_Counts(*map(int, numbers[:-1])),
            place=numbers[-1],
            lanes={name.decode(): size for name, size in zip(lanes[::2], pending, strict=True)},
            tally={field.decode(): int(count) for field, count in zip(tally[::2], tally[1::2], strict=True)},
            lines={name.decode(): size for name, size in zip(lines, parked, strict=True)},
            turns=frozenset(map(bytes.decode, turns)),
            crons=frozenset(map(bytes.decode, crons)),
        )

    async def _look_at_jobs(self, found: Ledger) -> Counter[str]:
        counted: Counter[str] = Counter()
        after = "-inf"
        while True:
            last, wrong, standing = await self._home.run("examine_jobs", (after, _PAGE))
            for name, job_id in zip(wrong[::2], wrong[1::2], strict=True):
                found.add(OF_JOBS[name.decode()], "jobs", [job_id.decode(errors="replace")])
            counted.update(field.decode() for field in standing)
            if not last:
                return counted
            after = f"({last.decode()}"

    async def _look_at_keys(self, found: Ledger, totals: _Totals) -> list[Finding]:
        try:
            async for key in self._keys():
                await self._look_at_key(key.decode(errors="replace"), found, totals)
        except (Refused, BackendUnavailable) as refusal:
            if "NOPERM" not in str(refusal):
                raise
            return [
                Finding(
                    severity="note",
                    what="this user may not scan, so stray entries and keys were not looked for",
                    where=self._home.client.address.shown,
                    advice="give a user of your own +scan +hscan +zscan, and name it in --url",
                )
            ]
        return []

    async def _look_at_key(self, name: str, found: Ledger, totals: _Totals) -> None:
        family, colon, of = name.partition(":")
        if not colon and family in PLAIN:
            return
        if family not in (FAMILIES if colon else OF_ENTRIES):
            found.add(_UNKNOWN, "", [name])
            return
        if not _is_rooted(family, of, totals):
            found.add(_LEFT_OVER, family, [name])
        if family == "body" and totals.counts.jobs == totals.counts.bodies and not found.has("jobs"):
            return  # every job has its body, and there are no more of them; they are the most bytes by far
        if family not in _LISTS:
            await self._look_at_entries(name, family, of, found)

    async def _look_at_entries(self, name: str, family: str, of: str, found: Ledger) -> None:
        command = "HSCAN" if family in HASHES else "ZSCAN"
        async for page in self._scanned(command, f"{self._home.prefix}{name}"):
            entries = [entry.decode(errors="replace") for entry in page[::2]]
            stray, other = await self._home.run("examine_entries", (family, of, entries))
            found.add(of_entries(family, is_stray=True), name, [entry.decode() for entry in stray])
            found.add(of_entries(family, is_stray=False), name, [entry.decode() for entry in other])
            unreadable = [entry for entry in entries if "\N{REPLACEMENT CHARACTER}" in entry]
            found.add(of_entries(family, is_stray=True), name, unreadable)

    async def _keys(self) -> AsyncIterator[bytes]:
        seen = set[bytes]()
        prefix = self._home.prefix.encode()
        async for page in self._scanned("SCAN", None, "MATCH", f"{self._home.prefix}*"):
            for key in page:
                if key.startswith(prefix) and key not in seen:
                    seen.add(key)
                    yield key[len(prefix) :]

    async def _scanned(self, command: str, key: str | None, *options: str) -> AsyncIterator[Sequence[bytes]]:
        """The pages of a scan on the server that has this home."""
        cursor: Any = "0"
        while True:
            words = (command, *([] if key is None else [key]), cursor, *options, "COUNT", _PAGE)
            ((cursor, page),) = await self._home.client.send((Command(words, self._home.key),))
            if page:
                yield page
            if cursor == b"0":
                return

    def _late(self, totals: _Totals) -> list[Finding]:
        counts = totals.counts
        pairs = [
            (counts.late_leases, "leases", "leases ended over a minute ago and nobody took the jobs over"),
            (counts.late_jobs, "due", "jobs have been due for over a minute and nobody made them pending"),
        ]
        return [
            Finding(
                severity="warning",
                what=f"{number:,} {what}",
                where=f"{self._home.prefix}{key}",
                advice="start a worker; any worker does",
            )
            for number, key, what in pairs
            if number
        ]

    def _sums(self, totals: _Totals) -> list[Finding]:
        """Sums that hold at every moment, whatever happens meanwhile."""
        by_code = Counter[str]()
        for field, count in totals.tally.items():
            by_code[field[LANE_CHARS:]] += count
        of = {status: by_code[str(CODES[status])] for status in STATUSES}
        pending = sum(totals.lanes.values()) + sum(totals.lines.values())
        pairs = [
            ("jobs", totals.counts.jobs, "the tally", by_code.total()),
            ("pending jobs on lanes and lines", pending, "the tally", of[Status.PENDING]),
            ("leases", totals.counts.leases, "the tally of processing jobs", of[Status.PROCESSING]),
            (
                "entries of `due`",
                totals.counts.due,
                "the tally of jobs for later",
                of[Status.SCHEDULED] + of[Status.RETRYING],
            ),
            ("jobs", totals.counts.jobs, "the number of bodies", totals.counts.bodies),
        ]
        return [
            self._miscounted(f"there are {one:,} {what}, and {other} says {number:,}")
            for what, one, other, number in pairs
            if one != number
        ]

    def _recount(self, before: _Totals, after: _Totals, counted: Counter[str]) -> list[Finding]:
        """The tally against the jobs themselves, lane by lane, when nothing changed in the meantime."""
        if before[:2] != after[:2] or before.tally != after.tally:
            return []
        return [
            self._miscounted(
                f"lane {field[:LANE_CHARS]} has {counted[field]:,} {STATUSES[int(field[LANE_CHARS:])]} jobs, "
                f"and the tally says {after.tally.get(field, 0):,}"
            )
            for field in sorted(counted.keys() | after.tally.keys())
            if counted[field] != after.tally.get(field, 0)
        ]

    def _miscounted(self, what: str) -> Finding:
        return Finding(
            severity="error",
            what=what,
            where=f"{self._home.prefix}tally",
            advice="mend what else is found first; then HSET the field of the tally to what was counted, "
            "while nobody works on the store",
        )


def _is_rooted(family: str, of: str, totals: _Totals) -> bool:
    roots: dict[str, Container[str]] = {
        "lane": totals.lanes,
        "open": totals.lines,
        "parked": totals.lines,
        "ends": totals.turns,
        "fires": totals.crons,
        "ended": _ENDED,
    }
    return family not in roots or of in roots[family]
