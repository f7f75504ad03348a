"""What an engine dispatches beside single jobs: batches, and jobs inside other transactions."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, Unpack, cast

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.flow import Step
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.core.needs import BATCH
from aiojobs_engine.dispatching.flows import BatchHandle, BatchOptions, EngineBatch
from aiojobs_engine.dispatching.transactional import dispatch_in
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.lifetime.session import OpenSession

R = TypeVar("R")


class Composing:
    """A part of the engine."""

    _door: OpenSession

    async def envelope(self, job: Job[Any]) -> Envelope:
        """What a dispatch of `job` would store now, for outboxes; raises what `dispatch` would."""
        templates = self._door().templates
        return templates.envelope(job) or await templates.looked_up(job)

    async def dispatch_in(self, connection: object, job: Job[R]) -> JobHandle[R]:
        """Store a job in the transaction that is open on `connection`, which commits or rolls it back.

        On `sqlite:///` only, with a `sqlite3` or `aiosqlite` connection to the very file of the jobs. For
        another database there is `Outbox`.

        Raises:
            ConfigError: it is another store or file, or no transaction is open.
            PayloadError, UnknownJobType, IdConflict, DependencyNotFound: as in `dispatch`.
        """
        return await dispatch_in(self._door, connection, job)

    def batch(
        self, members: Iterable[Step] = (), *, name: str = BATCH, **options: Unpack[BatchOptions]
    ) -> EngineBatch:
        """Jobs, chains and batches as one step; `engine.dispatch` stores it, or the end of `async with` does.

        Callbacks come by `.then(...)` (all members completed), `.catch(...)` (a first one did not) and
        `.finally_(...)` (all have ended).

        Args:
            name: what it is listed as.

        Raises:
            ConfigError: an option or a member can't be used.
        """
        given = dict(cast("Mapping[str, Any]", options))
        return EngineBatch(self._door, members, id=given.pop("id", None), type=name, options=given)

    def batch_handle(self, batch_id: str) -> BatchHandle:
        """The handle of a batch that was dispatched before."""
        return BatchHandle(checked_name(batch_id, "a job id"), self._door, created=False)
