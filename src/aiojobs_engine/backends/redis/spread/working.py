"""The store in several homes: what workers and dispatchers call."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiojobs_engine.backends.redis.spread.quiet import Quiet
from aiojobs_engine.backends.redis.spread.routes import Routes, is_made, together
from aiojobs_engine.core.envelope import Envelope, is_linked
from aiojobs_engine.core.errors import BackendUnavailable, ConfigError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.backend import (
    Claim,
    Enqueued,
    Lease,
    LeaseStatus,
    Promoted,
    Record,
    Settlement,
    Watch,
)

_AWAY = 10.0


class SpreadWork(Routes):
    """`Backend` in several homes; what each verb means stands in the port."""

    def __init__(self, *routes: Any, **named: Any) -> None:
        """See `Routes`."""
        super().__init__(*routes, **named)
        self._wakes = [store.key_of("wake") for store in self._stores]
        self._quiet = Quiet(self._homes, self._clock)
        self._away: dict[int, tuple[float, str]] = {}

    async def enqueue(self, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        """Store new jobs, each in its home; those of a call with links all in one.

        Raises:
            ConfigError: they are bound to jobs in different homes, or have keys in two.
        """
        if not envelopes:
            return []
        homes = await self._homes_of(envelopes)
        answers = await self._split(homes, envelopes, lambda store, part: store.enqueue(part))
        self._remember({answer.job_id: home for answer, home in zip(answers, homes, strict=True)})
        return answers

    async def claim(self, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
        """Lease pending jobs of one home, of more when it has too few; each time another is asked first.

        A home that could not be reached is left out for some seconds, for each try takes as long.
        """
        claims: list[Claim] = []
        at_once = max(0, limit - ahead)
        trouble: BackendUnavailable | None = None
        for home in self._in_turn():
            left = limit - len(claims)
            if left <= 0:
                break
            if self._quiet.left(watch, home):
                continue
            now = self._clock.monotonic()
            until, said = self._away.get(home, (now, ""))
            if now < until:
                trouble = BackendUnavailable(said)
                continue
            waiting = left - max(0, at_once - len(claims))
            try:
                claims += await self._stores[home].claim(watch, left, lease, waiting)
            except BackendUnavailable as error:
                trouble = error  # what other homes gave is in this worker's hands and must not be dropped
                self._away[home] = (self._clock.monotonic() + _AWAY, str(error))
        if trouble is not None and not claims:
            raise trouble
        return claims

    async def wait(self, watch: Watch, timeout: float, *, is_idle: bool = False) -> None:  # noqa: ARG002 - all are woken
        """Return when a home may have gained work, or after `timeout` seconds."""
        deadline = self._clock.monotonic() + timeout
        async with self._bell.listening(self._wakes) as wake:
            while self.client.is_open:
                opens_in = await self._opens_in(watch)
                left = deadline - self._clock.monotonic()
                if opens_in == 0 or left <= 0:
                    return
                await wake.wait(min(left, opens_in))

    async def begin(self, leases: Sequence[Lease]) -> None:
        """Note that jobs which were claimed ahead run now."""

        async def begun(store: Any, part: Sequence[Lease]) -> list[None]:
            await store.begin(part)
            return [None] * len(part)

        await self._by_lease(leases, leases, begun)

    async def extend(self, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
        """Let leases end `lease` seconds from now."""
        return await self._by_lease(leases, leases, lambda store, part: store.extend(part, lease))

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """End runs."""
        leases = [each.lease for each in settlements]
        return await self._by_lease(leases, settlements, lambda store, part: store.settle(part))

    async def record(self, records: Sequence[Record]) -> list[bool]:
        """Store what runs report."""
        leases = [each.lease for each in records]
        return await self._by_lease(leases, records, lambda store, part: store.record(part))

    async def promote(self, limit: int) -> Promoted:
        """Expire what is too late, and make due jobs pending, in one home after the other."""
        count, dues = 0, list[Instant]()
        for home in self._in_turn():
            promoted = await self._stores[home].promote(limit - count)
            count += promoted.count
            self._homes[home].changes += promoted.count
            if promoted.next_due is not None:
                dues.append(promoted.next_due)
            if count >= limit:
                break
        return Promoted(count, min(dues, default=None))

    async def rescue(self, worker: str, limit: int, lease: float) -> list[Claim]:
        """Take over leases that ran out, in one home after the other."""
        claims: list[Claim] = []
        trouble: BackendUnavailable | None = None
        for home in self._in_turn():
            if len(claims) >= limit:
                break
            try:
                claims += await self._stores[home].rescue(worker, limit - len(claims), lease)
            except BackendUnavailable as error:
                trouble = error
        if trouble is not None and not claims:
            raise trouble
        return claims

    async def _by_lease(
        self,
        leases: Sequence[Lease],
        given: Sequence[Any],
        ask: Callable[[Any, Sequence[Any]], Awaitable[Sequence[Any]]],
    ) -> list[Any]:
        return (
            await self._split([self._home_of_lease(lease) for lease in leases], given, ask) if given else []
        )

    async def _opens_in(self, watch: Watch) -> float:
        """Seconds until a home has to be asked, 0 when one has work."""
        homes = range(len(self._stores))
        asked = [home for home in homes if not self._quiet.left(watch, home)]
        before = [self._quiet.before(home) for home in asked]
        answers = await together(self._stores[home].claimable_in(watch) for home in asked)
        for home, then, opens_in in zip(asked, before, answers, strict=True):
            self._quiet.note(watch, home, then, opens_in)
        if 0 in answers:
            return 0
        return max(0.001, min(self._quiet.left(watch, home) for home in homes))

    async def _homes_of(self, envelopes: Sequence[Envelope]) -> list[int]:
        if any(map(is_linked, envelopes)):
            return [await self._home_of_linked(envelopes)] * len(envelopes)
        homes = await self._located(each.id for each in envelopes if not is_made(each.id))
        found: list[int] = []
        for each in envelopes:
            home = homes.get(each.id)
            if home is None:
                home = homes[each.id] = self._placement.home_of(each, each.id)
            found.append(home)
        return found

    async def _home_of_linked(self, envelopes: Sequence[Envelope]) -> int:
        """The home of jobs that are bound to each other, or to one that is stored."""
        names = [each.id for each in envelopes]
        for each in envelopes:
            names += [need.job_id for need in each.needs]
            if each.parent_id is not None:
                names.append(each.parent_id)
        found = await self._located(names)
        homes = set(found.values())
        if len(homes) > 1:
            examples = {home: name for name, home in found.items()}
            one, other, *_ = examples.values()
            raise ConfigError(
                f"the jobs {one!r} and {other!r} lie in different homes, so no write can bind a job to both: "
                "dispatch all in one call, as a chain or a batch, which puts them into one home, or let the "
                "last of them dispatch what follows"
            )
        return homes.pop() if homes else self._placement.home_of(envelopes[0], envelopes[0].id)
