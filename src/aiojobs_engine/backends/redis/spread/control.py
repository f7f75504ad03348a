"""The store in several homes: what people and programs do to jobs, queues, workers and types."""

from collections.abc import Sequence

from aiojobs_engine.backends.redis.keys import CODES
from aiojobs_engine.backends.redis.script import Command
from aiojobs_engine.backends.redis.spread.routes import Routes
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.ports.backend import Cancelled, Keep, TypeRecord, WorkerRecord

_UNKNOWN = Cancelled(None, done=False)
_NO = False
_EVERYWHERE_AFTER = 20.0


class SpreadControl(Routes):
    """`Control` in several homes; what each verb means stands in the port."""

    async def cancel(self, ids: Sequence[str]) -> list[Cancelled]:
        """Cancel queued jobs at once; flag running ones."""
        return await self._each(ids, _UNKNOWN, lambda store, part: store.cancel(part))

    async def pause(self, ids: Sequence[str]) -> list[bool]:
        """Park queued jobs, flag running ones."""
        return await self._each(ids, _NO, lambda store, part: store.pause(part))

    async def resume(self, ids: Sequence[str]) -> list[bool]:
        """Make paused jobs pending again."""
        return await self._each(ids, _NO, lambda store, part: store.resume(part))

    async def retry(self, ids: Sequence[str]) -> list[bool]:
        """Start final jobs anew, in a new epoch."""
        return await self._each(ids, _NO, lambda store, part: store.retry(part))

    async def reopen(self, parent_id: str, children: Sequence[Envelope]) -> bool:
        """Give an ended bulk job chunks for its unresolved rows."""
        home = (await self._located([parent_id])).get(parent_id)
        return home is not None and await self._stores[home].reopen(parent_id, children)

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        """Remove jobs that nobody runs."""
        return await self._each(ids, _NO, lambda store, part: store.delete(part))

    async def prune(self, keeps: Sequence[Keep], limit: int) -> list[str]:
        """Remove old final jobs, in one home after the other; each keeps its share of the number to keep."""
        shares = await self._shares(keeps)
        removed: list[str] = []
        for home in self._in_turn():
            removed += await self._stores[home].prune(shares[home], max(0, limit) - len(removed))
        return removed

    async def pause_queue(self, name: str) -> None:
        """Let no more jobs of the queue be claimed."""
        await self._all(lambda store: store.pause_queue(name))

    async def resume_queue(self, name: str) -> None:
        """Let them be claimed again."""
        await self._all(lambda store: store.resume_queue(name))
        self._note_changes()

    async def beat(self, worker: WorkerRecord) -> None:
        """Announce a worker; the other homes, which keep its last claim, hear it three times a minute."""
        now = self._clock.monotonic()
        if now - self._beats.get(worker.id, -_EVERYWHERE_AFTER) < _EVERYWHERE_AFTER:
            await self._first.beat(worker)
            return
        await self._all(lambda store: store.beat(worker))
        self._beats[worker.id] = now

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that stopped."""
        self._beats.pop(worker_id, None)
        await self._all(lambda store: store.leave(worker_id))

    async def publish(self, types: Sequence[TypeRecord]) -> None:
        """Make job types known to dispatchers."""
        await self._first.publish(types)

    async def _shares(self, keeps: Sequence[Keep]) -> list[list[Keep]]:
        """What each home keeps: of a number to keep as much as it has of the jobs that it is for."""
        asked = [
            [Command(("ZCARD", key := store.key_of(f"ended:{CODES[status]}")), key) for status in codes]
            for keep in keeps
            for codes in [[status for status in dict.fromkeys(keep.statuses) if status in FINAL]]
            for store in self._stores
        ]
        counted = iter(await self.client.send([command for commands in asked for command in commands]))
        sizes = iter([sum(int(next(counted)) for _ in commands) for commands in asked])
        shares: list[list[Keep]] = [[] for _ in self._stores]
        for keep in keeps:
            own = [next(sizes) for _ in self._stores]
            for share, most in zip(shares, shared(keep.keep, own), strict=True):
                share.append(Keep(keep.statuses, keep.age, most))
        return shares


def shared(most: int, sizes: Sequence[int]) -> list[int]:
    """How many each of several sets keeps, by their sizes, when all together keep `most`.

    While they are not more than that, none lets go of any: a set may have grown since it was counted.
    """
    total = sum(sizes)
    if total <= most:
        return [most] * len(sizes)
    ends = [most * sum(sizes[: number + 1]) // total for number in range(len(sizes))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]
