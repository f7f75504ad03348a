"""Which home a job lies in, and where in a Cluster the homes lie."""

from collections.abc import Mapping
from hashlib import blake2b
from itertools import count

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError

_NEAR = 24


def home_tags(prefix: str, homes: int) -> list[str]:
    """The hash tags of all homes: the first is the prefix, the others lie at even distances around the slots.

    So a Cluster that shares its slots evenly holds as many homes on each of its servers as it can.
    """
    first = key_slot(prefix.encode())
    tags = [prefix]
    for number in range(1, homes):
        wanted = (first + number * REDIS_CLUSTER_HASH_SLOTS // homes) % REDIS_CLUSTER_HASH_SLOTS
        names = (f"{prefix}.{number}.{salt}" for salt in count())
        tags.append(next(name for name in names if _distance(key_slot(name.encode()), wanted) <= _NEAR))
    return tags


class Placement:
    """Where new jobs go: those of a queue to its home, those of a partitioned queue to several in turn."""

    def __init__(self, homes: int, partitions: Mapping[str, int]) -> None:
        """Spread the queues that `partitions` names over so many homes each.

        Raises:
            ConfigError: a queue has more partitions than there are homes.
        """
        for queue, number in partitions.items():
            if number > homes:
                raise ConfigError(
                    f"the queue {queue!r} has {number} partitions and the store {homes} "
                    f"home{'s' if homes > 1 else ''}: put homes={number} or more into the URL of a new store"
                )
        self._homes = homes
        self._partitions = {queue: number for queue, number in partitions.items() if number > 1}
        self._first: dict[str, int] = {}

    def is_partitioned(self, queue: str) -> bool:
        """Whether its jobs lie in several homes."""
        return queue in self._partitions

    def home_of(self, job: Envelope, name: str) -> int:
        """The home of a job that is bound to no other; `name` decides for one without a key of its own.

        Raises:
            ConfigError: two keys would send a job of a partitioned queue to two homes.
        """
        first = self._first.get(job.queue)
        if first is None:
            first = self._first[job.queue] = _digest(job.queue) % self._homes
        partitions = self._partitions.get(job.queue)
        if partitions is None:
            return first
        if job.unique is not None and job.limit_key is not None:
            raise ConfigError(
                f"{job.type} is unique and under a limit by key, and its queue {job.queue!r} is partitioned, "
                "so both keys would have to lie in one home: take one of the two away, or another queue"
            )
        key = job.limit_key if job.unique is None else job.unique.key
        if key is None:
            key = name if job.fair_key is None else job.fair_key
        return (first + _digest(key) % partitions) % self._homes


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _distance(slot: int, other: int) -> int:
    apart = abs(slot - other)
    return min(apart, REDIS_CLUSTER_HASH_SLOTS - apart)
