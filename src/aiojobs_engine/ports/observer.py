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


class ListenerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How one listener keeps up.

    Attributes:
        dropped: events that gave way so far.
        waiting: events in its queue; it grows while the listener hangs.
        failed: how often it failed so far, by the class of the error.
    """

    dropped: int = 0
    waiting: int = 0
    failed: Mapping[str, int] = {}


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand at one worker and in its store.

    Attributes:
        stuck: handlers that ignored every cancel so far.
        listeners: those of this process, by name.
    """

    slots: int
    running: int
    stuck: int
    queues: Sequence[QueueStats]
    listeners: Mapping[str, ListenerLoad]


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

    def fired(self, name: str, seconds: float) -> None:
        """The cron entry `name` fired so long after its instant."""
        ...
