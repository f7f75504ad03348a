"""Tells of a store that is away: one warning when it goes, one line when it is back."""

import logging

from aiojobs_engine.core.errors import BackendError
from aiojobs_engine.ports.clock import Clock

logger = logging.getLogger(__name__)


class Outage:
    """Where everybody who meets a store that doesn't answer says so, and who meets one that does.

    Attributes:
        since: monotonic seconds since when it is away, None while it answers.
    """

    def __init__(self, clock: Clock, what: str = "work goes on when it answers again") -> None:
        """Measure on `clock`; `what` tells people what becomes of their jobs meanwhile."""
        self._clock = clock
        self._what = what
        self.since: float | None = None

    def note(self, error: BackendError) -> None:
        """The store was away; only the first of an outage is logged."""
        if self.since is None:
            self.since = self._clock.monotonic()
            logger.warning("the store is away, %s: %s", self._what, error)
        else:
            logger.debug("the store is still away: %s", error)

    def over(self) -> None:
        """The store answered; only the first after an outage is logged."""
        if self.since is not None:
            away = self._clock.monotonic() - self.since
            self.since = None
            logger.warning("the store is back after %.1f s", away)
