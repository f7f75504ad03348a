"""What runs beside a worker and is no part of it: durable listeners, the execution log."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from aiojobs_engine.core.options import Resolved
from aiojobs_engine.ports.backend import Claim, Settlement


class Settled(NamedTuple):
    """A run whose end the store has taken; a job that went back without having begun has not run."""

    claim: Claim
    options: Resolved
    settlement: Settlement
    has_run: bool = True


OnSettled = Callable[[Sequence[Settled]], None]


class Companion(Protocol):
    """Lives as long as a worker."""

    @property
    def name(self) -> str:
        """Its name for people and tasks."""
        ...

    async def prepare(self) -> None:
        """Be called once, before the worker claims its first job."""
        ...

    async def run(self) -> None:
        """Work until cancelled; when it raises it is started again."""
        ...

    async def finish(self, *, catches_up: bool) -> None:
        """Be called once, when the worker has settled its last job and `run` has ended.

        Args:
            catches_up: the worker was a burst: do what is left to do.
        """
        ...
