"""Watches how the runs of types with a breaker end, and opens and closes it in the store."""

from collections.abc import Mapping, Sequence

from aiojobs_engine.core.breaker import Circuit
from aiojobs_engine.core.gates import Group, Limit
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Claim, Store
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.ports.observer import Execution, Load

_FAILED = frozenset({Status.FAILED, Status.RETRYING})


class Breakers:
    """The circuits of one worker; nothing is written before one opens or closes."""

    def __init__(self, store: Store, clock: Clock, circuits: Mapping[Group, Circuit]) -> None:
        """Watch these groups, each a type in a queue."""
        self._store = store
        self._clock = clock
        self._circuits = circuits
        self._seen: list[tuple[Group, Instant, bool]] = []
        self._wake = Wake(clock)

    def settled(self, executions: Sequence[Execution], seconds: float) -> None:
        """Take in the ends of runs: good, failed or neither."""
        del seconds
        for each in executions:
            envelope, status = each.claim.envelope, each.settlement.status
            group = Group(envelope.queue, envelope.type)
            is_failed = status in _FAILED
            if group in self._circuits and each.accepted and (is_failed or status is Status.COMPLETED):
                self._seen.append((group, each.claim.started_at, is_failed))
                self._wake.set()

    def fetched(self, claims: Sequence[Claim], seconds: float) -> None:
        """Claims say nothing of how runs end."""

    def sampled(self, load: Load) -> None:
        """Nor does the load."""

    def lagged(self, seconds: float) -> None:
        """Nor does a lag."""

    def fired(self, name: str, seconds: float) -> None:
        """Nor does cron."""

    async def run(self) -> None:
        """Judge until cancelled."""
        while True:
            await self._wake.wait()
            await self._judge()

    async def _judge(self) -> None:
        now = self._clock.now()
        stored = {
            record.limit.group: record.limit.closed_until or Instant(0)
            for record in await self._store.limits()
            if record.limit.origin == "breaker"
        }
        seen, self._seen = self._seen, []
        said: dict[Group, Limit] = {}
        for group, started_at, failed in seen:
            circuit, closed_until = self._circuits[group], stored.get(group)
            if closed_until is None:
                until: Instant | bool | None = circuit.saw(now, failed=failed)
            elif started_at < closed_until:
                continue  # it ran already when the breaker opened
            else:
                until = circuit.probed(now, failed=failed)
            if until is True:
                said[group] = Limit(queue=group.queue, type=group.type, origin="breaker")
                del stored[group]
            elif until:
                said[group] = Limit(
                    queue=group.queue,
                    type=group.type,
                    concurrency=circuit.breaker.probes,
                    closed_until=Instant(until),
                    origin="breaker",
                )
                stored[group] = Instant(until)
        if said:
            await self._store.set_limits(list(said.values()))
