"""Circuit breakers: when the runs of a type fail too often, none start for a while, then a few to probe."""

from collections import deque
from typing import Annotated, Any

import msgspec

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant, later

_LONGEST_DOUBLING = 5
_Seconds = Annotated[float, msgspec.Meta(gt=0, lt=2**40, title="seconds")]
_AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class Breaker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a type's runs stop, and how they begin again.

    Each worker process judges by the runs that it saw itself; what it decides holds for all.

    Attributes:
        failure_rate: the share of failed runs, above 0 up to 1, from which on none start any more.
        min_runs: runs within `window` before that is judged.
        window: seconds.
        open_for: seconds in which nothing starts; twice as long each time that probes fail, up to 32 times.
        probes: how many then run at once until as many have done well; one that fails opens it again.
    """

    failure_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    min_runs: _AtLeastOne = 20
    window: _Seconds = 60.0
    open_for: _Seconds = 30.0
    probes: _AtLeastOne = 1


class Circuit:
    """What one worker knows of a type's breaker."""

    def __init__(self, breaker: Breaker) -> None:
        """Know nothing yet."""
        self.breaker = breaker
        self._runs: deque[tuple[Instant, bool]] = deque()
        self._failed = 0
        self._good_probes = 0
        self._openings = 0

    def saw(self, now: Instant, *, failed: bool) -> Instant | None:
        """Take in a run that ended while the breaker is closed: until when to open it, if at all."""
        self._good_probes = 0
        self._runs.append((now, failed))
        self._failed += failed
        since = now - round(self.breaker.window * 1000)
        while self._runs and self._runs[0][0] <= since:
            self._failed -= self._runs.popleft()[1]
        if len(self._runs) < self.breaker.min_runs:
            return None
        if self._failed < self.breaker.failure_rate * len(self._runs):
            return None
        self._openings = 0
        return self._opened(now)

    def probed(self, now: Instant, *, failed: bool) -> Instant | bool:
        """Take in a probe that ended: until when to open the breaker again, or whether to close it."""
        if failed:
            self._openings = min(self._openings + 1, _LONGEST_DOUBLING)
            return self._opened(now)
        self._good_probes += 1
        return self._good_probes >= self.breaker.probes

    def _opened(self, now: Instant) -> Instant:
        self._runs.clear()
        self._failed = self._good_probes = 0
        return later(now, self.breaker.open_for * 2**self._openings)


def checked_breaker(value: object, owner: str) -> Breaker | None:
    """A breaker option: True for the defaults, `Breaker(...)` or its fields; None and False for none.

    Raises:
        ConfigError: it is none of these, or a number is out of range.
    """
    if value is None or value is False:
        return None
    plain: Any = msgspec.to_builtins(value) if isinstance(value, Breaker) else {} if value is True else value
    try:
        return msgspec.convert(plain, Breaker)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{owner} is wrong: {error}") from error
