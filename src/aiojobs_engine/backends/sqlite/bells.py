"""Who in this process waits for jobs or for events."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from aiojobs_engine.ports.clock import Clock, Wake


class Bells:
    """The waiting calls; each has a bell of its own, so that any number may wait and be cancelled."""

    def __init__(self, clock: Clock) -> None:
        """Let `clock` measure how long they wait."""
        self._clock = clock
        self._jobs: set[Wake] = set()
        self._events: set[Wake] = set()

    @contextmanager
    def for_jobs(self) -> Generator[Wake]:
        """A bell that rings when jobs may have become claimable."""
        yield from self._hung_up(self._jobs)

    @contextmanager
    def for_events(self) -> Generator[Wake]:
        """A bell that rings when events may have been stored."""
        yield from self._hung_up(self._events)

    def ring(self, kind: Literal["jobs", "events"] | None = None) -> None:
        """Wake those that wait for this; None wakes all."""
        for bell in () if kind == "events" else self._jobs:
            bell.set()
        for bell in () if kind == "jobs" else self._events:
            bell.set()

    def _hung_up(self, place: set[Wake]) -> Generator[Wake]:
        bell = Wake(self._clock)
        place.add(bell)
        try:
            yield bell
        finally:
            place.discard(bell)
