"""What a store can do beside the port when the caller's own database is the one it lives in."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.ports.backend import Enqueued


@runtime_checkable
class Transactional(Protocol):
    """A store whose jobs can be stored in a transaction of the caller's."""

    async def enqueue_in(self, connection: object, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        """What `enqueue` does, in the transaction that is open on `connection`; nothing is committed.

        Raises:
            ConfigError: it is no connection to this very database, or no transaction is open on it.
        """
        ...
