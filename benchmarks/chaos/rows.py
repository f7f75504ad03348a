"""Which rows handlers saw how often, and which chunks the store says it gave out again."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from aiojobs_engine import Engine

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a handler: the chunk, the token of its run, and the rows."""

    chunk: str
    token: int
    rows: tuple[int, ...]


@dataclass(slots=True)
class Retold:
    """What the events tell of the jobs of an import.

    Attributes:
        granted: each lease, as id and token.
        lost: by job, the leases that ran out.
    """

    granted: list[tuple[str, int]] = field(default_factory=list)
    lost: defaultdict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def retried(self) -> set[str]:
        """The jobs of which a lease ran out."""
        return set(self.lost)


def read_calls(path: Path) -> list[Call]:
    """The calls of all handlers: lines of chunk, token and numbers of rows."""
    calls: list[Call] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            chunk, token, *rows = line.split()
            calls.append(Call(chunk, int(token), tuple(map(int, rows))))
    return calls


async def retold(engine: Engine, job_id: str) -> Retold:
    """Read all events of an import and of its chunks; a claim and a rescue take a token each."""
    found, tokens, after = Retold(), Counter[str](), None
    while True:
        events, after = await engine.store.read(after, _PAGE)
        for event in events:
            if job_id not in {event.job_id, event.parent_id}:
                continue
            name = type(event).__name__
            if name == "JobStarted":
                tokens[event.job_id] += 1
                found.granted.append((event.job_id, tokens[event.job_id]))
            elif name == "LeaseLost":
                found.lost[event.job_id].append((event.job_id, tokens[event.job_id]))
                tokens[event.job_id] += 1
        if not events:
            return found


def broken_rows(calls: list[Call], told: Retold) -> dict[str, bool]:
    """The laws of the rows, and whether each holds."""
    per_chunk = Counter(call.chunk for call in calls)
    once = Counter(row for call in calls if call.chunk not in told.retried for row in call.rows)
    again = {row for call in calls if call.chunk in told.retried for row in call.rows}
    return {
        "outside the retried chunks each row was seen once": set(once.values()) <= {1}
        and not once.keys() & again,
        "a chunk ran again only when its lease was lost": all(
            times <= 1 + len(told.lost[chunk]) for chunk, times in per_chunk.items() if times > 1
        ),
        "each call had a lease of its own": len({(call.chunk, call.token) for call in calls}) == len(calls)
        and {(call.chunk, call.token) for call in calls} <= set(told.granted),
        "a chunk that ran again saw the same rows": len({(call.chunk, call.rows) for call in calls})
        == len(per_chunk),
    }
