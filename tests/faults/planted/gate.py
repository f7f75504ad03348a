"""The way of a process to the store: calls take time, answers get lost, and all is written down."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from chaos.history import Call

from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.ports.backend import Claim, Lease, LeaseStatus, Record, Settlement, Store
from aiojobs_engine.testing.clock import ManualClock
from tests.faults.planted.process import Process

if TYPE_CHECKING:
    from aiojobs_engine.backends.memory import MemoryBackend as _Verbs
else:
    _Verbs = object

_WAITS = frozenset({"wait", "wait_events"})

LOSE = "lose"
Strike = Callable[[Process, str], str | None]
"""Does what is planned for a call of this verb; `LOSE` loses the call or its answer."""

Client = Callable[["Gate"], Any]
"""The client library that a process reaches the store with, a lawful or a faulty one."""


class Notebook:
    """What the store did, in its order."""

    def __init__(self, clock: ManualClock) -> None:
        self.calls: list[Call] = []
        self.clock = clock

    def note(self, verb: str, args: Sequence[Any], answer: Any) -> None:
        """Write down what concerns leases."""
        writer = getattr(self, f"_{verb}", None)
        if writer is not None:
            writer(args, answer)

    def _claim(self, args: Sequence[Any], answer: Sequence[Claim]) -> None:
        for claim in answer:
            self._put("claimed", claim.lease, until=args[2])

    def _rescue(self, args: Sequence[Any], answer: Sequence[Claim]) -> None:
        for claim in answer:
            self._put("rescued", claim.lease, until=args[2])

    def _extend(self, args: Sequence[Any], answer: Sequence[LeaseStatus]) -> None:
        for lease, status in zip(args[0], answer, strict=True):
            self._put("extended", lease, accepted=status.held, until=args[1])

    def _settle(self, args: tuple[Sequence[Settlement]], answer: Sequence[bool]) -> None:
        for settlement, accepted in zip(args[0], answer, strict=True):
            self._put("settled", settlement.lease, accepted=accepted)

    def _record(self, args: tuple[Sequence[Record]], answer: Sequence[bool]) -> None:
        for record, accepted in zip(args[0], answer, strict=True):
            self._put("recorded", record.lease, accepted=accepted)

    def _put(self, verb: str, lease: Lease, *, accepted: bool = True, until: float | None = None) -> None:
        at = self.clock.boot()[1] / 1000  # as the store counts leases
        call = Call(
            verb=verb,
            at=at,
            job_id=lease.job_id,
            token=lease.token,
            accepted=accepted,
            until=0.0 if until is None else at + until,
        )
        self.calls.append(call)


class Gate(_Verbs):
    """The store, as far as one process gets to it; it is opened and closed by others."""

    def __init__(
        self, process: Process, store: Store, notebook: Notebook, strike: Strike, delay: Callable[[], float]
    ) -> None:
        self.process = process
        self._store = store
        self._notebook = notebook
        self._strike = strike
        self._delay = delay

    async def open(self) -> None:
        await self.process.turn()

    async def close(self) -> None:
        pass

    def tap(self, *_: object) -> None:
        pass

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            passed_on = getattr(self._store, name)
            return self._guarded(name, passed_on) if inspect.iscoroutinefunction(passed_on) else passed_on

    def _guarded(self, verb: str, passed_on: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            # processes share one connection here, so a store would take the dead for idle ones that hear it
            options.pop("is_idle", None)
            await self.process.turn()
            if self._strike(self.process, f"before {verb}") == LOSE:
                raise BackendUnavailable(f"{verb} got lost on its way")
            await self.process.turn()
            await self._travel(verb)
            answer = await passed_on(*args, **options)
            self._notebook.note(verb, args, answer)
            if self._strike(self.process, f"after {verb}") == LOSE:
                raise BackendUnavailable(f"the answer of {verb} got lost")
            await self._travel(verb)
            await self.process.turn()
            return answer

        return call

    async def _travel(self, verb: str) -> None:
        """Take as long as the network does; it goes on when a process stands still."""
        if verb not in _WAITS:
            await self._notebook.clock.sleep(self._delay())
