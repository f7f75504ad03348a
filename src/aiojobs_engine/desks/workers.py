"""`engine.workers` and `engine.types`: who works, and on what."""

from aiojobs_engine.lifetime.session import OpenSession
from aiojobs_engine.listing import Listing, whole
from aiojobs_engine.ports.control import TypeRecord, WorkerRecord


class WorkersDesk:
    """Worker processes as they announce themselves."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[WorkerRecord]:
        """Those that announced themselves and didn't leave, by start; a dead one stays about a minute."""

        async def read() -> list[WorkerRecord]:
            return await self._open().store.workers()

        return whole(read, lambda worker: f"{worker.started_at:015d}.{worker.id}", limit, cursor)


class TypesDesk:
    """Job types: those that workers published, and those registered here."""

    __slots__ = ("_open",)

    def __init__(self, open_session: OpenSession) -> None:
        """Belong to an engine."""
        self._open = open_session

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[TypeRecord]:
        """All of them, by name; for one that is registered here, what is registered here."""

        async def read() -> list[TypeRecord]:
            session = self._open()
            known = {record.name: record for record in await session.store.types()}
            for name in session.registry.names():
                known[name] = session.templates.record(name)
            return list(known.values())

        return whole(read, lambda record: record.name, limit, cursor)
