"""A span for each claim that brought jobs, where the settings ask for it."""

from collections.abc import Sequence

from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.observer import Execution, Load
from aiojobs_engine.ports.tracing import FindTracing


class ClaimSpans:
    """Hears of claims, and hands them to whoever makes spans now."""

    def __init__(self, tracing: FindTracing, clock: Clock) -> None:
        """Ask `tracing` at each claim."""
        self._tracing = tracing
        self._clock = clock

    def fetched(self, claims: Sequence[Claim], seconds: float) -> None:
        """A claim that took `seconds` brought these."""
        tracing = self._tracing()
        if tracing is not None:
            tracing.received(claims, self._clock.now(), seconds)

    def settled(self, executions: Sequence[Execution], seconds: float) -> None:
        """Outcomes have spans of their own."""

    def sampled(self, load: Load) -> None:
        """Do nothing."""

    def lagged(self, seconds: float) -> None:
        """Do nothing."""

    def fired(self, name: str, seconds: float) -> None:
        """Fires have spans of their own."""
