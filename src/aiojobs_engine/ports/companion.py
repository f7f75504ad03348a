"""What runs beside a worker and is no part of it: durable listeners, the execution log."""

from typing import Protocol

from aiojobs_engine.ports.observer import ListenerLoad


class Companion(Protocol):
    """Lives as long as a worker."""

    @property
    def name(self) -> str:
        """Its name for people and tasks."""
        ...

    @property
    def load(self) -> ListenerLoad:
        """How it keeps up."""
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
