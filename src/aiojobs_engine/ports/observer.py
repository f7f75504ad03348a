"""Who hears what a worker does: metrics, and what else keeps account of runs."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from aiojobs_engine.core.outcome import Outcome
from aiojobs_engine.ports.backend import Claim, Settlement
from aiojobs_engine.ports.inspector import QueueStats


class Execution(msgspec.Struct, frozen=True, gc=False):
    """A run that ended, and what the store was told.

    Attributes:
        seconds: from its start to its outcome; None when it never began.
        accepted: False when the lease was somebody else's by then, so that nothing was changed.
    """

    claim: Claim
    outcome: Outcome
    settlement: Settlement
    seconds: float | None
    accepted: bool


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand at one worker and in its store.

    Attributes:
        stuck: handlers that ignored every cancel so far.
        dropped: events that gave way so far, by listener.
    """

    slots: int
    running: int
    stuck: int
    queues: Sequence[QueueStats]
    dropped: Mapping[str, int]


class Observer(Protocol):
    """Hears once per batch, on the loop. It must be quick, and must not raise."""

    def fetched(self, claims: Sequence[Claim], seconds: float) -> None:
        """A claim that took `seconds` brought these."""
        ...

    def settled(self, executions: Sequence[Execution], seconds: float) -> None:
        """A write of outcomes took `seconds`."""
        ...

    def sampled(self, load: Load) -> None:
        """A look around, every ten seconds."""
        ...

    def lagged(self, seconds: float) -> None:
        """The loop answered its watchdog so late."""
        ...
