"""Spans around dispatches, runs and settlements, as the engine asks for them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.outcome import Outcome
from aiojobs_engine.ports.backend import Claim, Settlement
from aiojobs_engine.ports.cron import Fire, Fired

Carry = Callable[[list[Envelope]], list[Envelope]]
"""Gives envelopes the context of a span to carry."""


class Attempt(Protocol):
    """The span of one run."""

    @property
    def trace(self) -> str:
        """Its `traceparent`."""
        ...

    def decided(self, outcome: Outcome | None, settlement: Settlement | None) -> None:
        """End the span with what became of the run; None is a lost lease. Repeating it changes nothing."""
        ...


class Firing(Protocol):
    """Fires of cron entries whose jobs carry a context."""

    @property
    def fires(self) -> list[Fire]:
        """The fires, in the order in which they were given."""
        ...

    def end(self, answers: Sequence[Fired]) -> None:
        """End the spans of those that stored a job; the others leave no trace."""
        ...


class Tracing(Protocol):
    """Makes spans. Each is ended whatever its body raises, and none stays active behind it."""

    def send(self, envelope: Envelope) -> AbstractContextManager[Envelope]:
        """Around the dispatch of one job: gives the envelope to store."""
        ...

    def send_many(self) -> AbstractContextManager[Carry]:
        """Around the dispatch of many jobs: what it gives is called with each slice before it is stored."""
        ...

    def fire(self, fires: Sequence[Fire]) -> Firing:
        """For the fires of cron entries, each in a trace of its own."""
        ...

    def received(self, claims: Sequence[Claim], at: Instant, seconds: float) -> None:
        """Of a claim that took `seconds` until `at` and brought these."""
        ...

    def process(self, claim: Claim, worker: str, max_attempts: int) -> AbstractContextManager[Attempt]:
        """Around one run, in the run's own task; what the handler does belongs to the span."""
        ...

    def settle(
        self, written: Sequence[tuple[Attempt | None, Envelope, Settlement]]
    ) -> AbstractContextManager[None]:
        """Around one write of outcomes."""
        ...

    def here(self) -> AbstractContextManager[None]:
        """Puts the context that is current here in force in its body; it can be pickled."""
        ...

    def inside(self, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Puts the context that an envelope carries in force in its body, with no span of its own."""
        ...

    def carried(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """The same envelopes with the context that is current here."""
        ...


FindTracing = Callable[[], Tracing | None]
"""Who makes spans now; None while no tracer provider is set, which may change at any time."""


def no_tracing() -> Tracing | None:
    """Nobody makes spans."""
    return None
