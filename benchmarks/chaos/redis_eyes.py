"""What is seen of a Redis past the engine, and the dump that the checker reads at the end."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from aiojobs_engine import Engine
from chaos.journal import DUMP

_FIRST_FINAL = 6
_QUEUED = frozenset({0, 2, 5})
_LANE_CHARS = 8
_PLACE_DIGITS = 16
_PAGE = 1000
_unpack = msgspec.msgpack.Decoder().decode


class RedisEyes:
    """A look at the keys, by a client of its own, which waits for a server that is away."""

    def __init__(self, port: int, prefix: str) -> None:
        """Look at the only home of `prefix`, as soon as there is one."""
        patient = Retry(ConstantBackoff(0.1), 300)
        self._redis = redis.Redis(port=port, protocol=2, retry=patient, socket_timeout=10)
        self._pattern = f"{prefix}:*:meta"
        self._home = ""

    def queued(self) -> int:
        """How many jobs wait for a worker."""
        return sum(number for code, number in self._tally().items() if code in _QUEUED)

    def unfinished(self) -> int:
        """How many jobs have not ended."""
        return sum(number for code, number in self._tally().items() if code < _FIRST_FINAL)

    def held(self, pid: int) -> list[tuple[str, int, int]]:
        """Id and token of each job that a worker holds, and whether its runs are written down."""
        found: list[tuple[str, int, int]] = []
        places = self._redis.zrange(self._key("leases"), 0, -1)
        for place, state in zip(places, self._states(places), strict=True):
            fields = _unpack(state) if state else None
            if fields and f".{pid}." in str(fields[6]):
                rest = fields[8] or {}
                names = self._redis.zrangebyscore(self._key("jobs"), place, place)
                writes = "parent" in rest or not rest.get("chunks")
                found += [(name.decode(), fields[1], int(writes)) for name in names]
        return found

    async def dump(self, engine: Engine, folder: Path) -> None:
        """Write down all jobs, their failed rows and the events, for the checker."""
        places = {name.decode(): int(place) for name, place in self._all("jobs")}
        leased = {int(place) for place, _ in self._all("leases")}
        states = dict(zip(places, self._states(list(places.values())), strict=True))
        jobs: list[dict[str, Any]] = []
        async for job in engine.jobs.list():
            state = states.get(job.id)
            rows = [fault.row_number async for fault in engine.failures.list(job.id)] if job.failed else []
            jobs.append(
                {
                    "id": job.id,
                    "type": job.type,
                    "status": job.status,
                    "token": _unpack(state)[1] if state else 0,
                    "attempts": job.attempts,
                    "crashes": job.crashes,
                    "epoch": job.epoch,
                    "succeeded": job.succeeded,
                    "failed": job.failed,
                    "total": job.total,
                    "parent": job.parent_id,
                    "result": None if job.result is None else json.dumps(job.result),
                    "reason": (job.error.reason or None) if job.error else None,
                    "is_leased": places.get(job.id) in leased,
                    "failures": sorted(rows),
                }
            )
        children = Counter(job["parent"] for job in jobs if job["parent"])
        for job in jobs:
            job["chunks"] = children[job["id"]]
        told = [
            event for _, entry in self._redis.xrange(self._key("events")) for event in json.loads(entry[b"b"])
        ]
        record = {"jobs": jobs, "events": told, "integrity": self._integrity(jobs, places)}
        (folder / DUMP).write_text(json.dumps(record, default=str), encoding="utf-8")

    def _integrity(self, jobs: list[dict[str, Any]], places: dict[str, int]) -> str:
        """What doesn't fit together in the keys; `ok` when all does."""
        seen: Counter[int] = Counter()
        for kind in ("lane:*", "due", "leases", "ended:*"):
            for key in self._redis.scan_iter(self._key(kind), count=_PAGE):
                seen.update(int(name[-_PLACE_DIGITS:]) for name in self._redis.zrange(key, 0, -1))
        wrong = [f"place {place} stands in {number} sets" for place, number in seen.items() if number > 1]
        wrong += [f"place {place} is no job's" for place in seen.keys() - set(places.values())]
        bodies = {int(place) for place in self._redis.hkeys(self._key("body"))}
        wrong += [f"{name} has no body" for name, place in places.items() if place not in bodies]
        wrong += [f"place {place} has a body and no job" for place in bodies - set(places.values())]
        if {job["id"] for job in jobs} != set(places):
            wrong.append("the list of jobs lacks some, or has more")
        if sum(self._tally().values()) != len(places):
            wrong.append(f"{sum(self._tally().values())} jobs are counted, {len(places)} are there")
        return "; ".join(sorted(wrong)[:5]) or "ok"

    def _tally(self) -> Counter[int]:
        found: Counter[int] = Counter()
        for field, number in self._redis.hgetall(self._key("tally")).items():
            found[int(field[_LANE_CHARS:])] += int(number)
        return found

    def _states(self, places: list[Any]) -> list[bytes | None]:
        found: list[bytes | None] = []
        for first in range(0, len(places), _PAGE):
            found += self._redis.hmget(self._key("state"), places[first : first + _PAGE])
        return found

    def _all(self, name: str) -> list[tuple[bytes, float]]:
        found: list[tuple[bytes, float]] = self._redis.zrange(self._key(name), 0, -1, withscores=True)
        return found

    def _key(self, name: str) -> str:
        if not self._home:
            found = next(self._redis.scan_iter(self._pattern, count=_PAGE), b"meta")
            self._home = found.decode().removesuffix("meta")
        return self._home + name
