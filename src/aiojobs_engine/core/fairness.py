"""Fair turns: in which order the jobs of several keys are taken, decided when a job becomes due.

Start-time fair queueing. A queue has a clock, the latest turn that was taken so far. A job's turn is the
clock, or the end of its key's last turn when that is later; a turn lasts `SPAN` by the weight of the key.
"""

from collections.abc import Iterable

SPAN = 1_000
"""How long a turn of weight 1 lasts. A job of a queue that is not fair has the turn `SPAN * place`."""


def span(weight: float) -> int:
    """How long a turn of a key lasts."""
    return max(1, round(SPAN / weight))


def turns(clock: int, ends: dict[str, int], jobs: Iterable[tuple[str, float]]) -> list[int]:
    """The turns of jobs by key and weight, in order; `ends`, the ends of the keys' last turns, moves on."""
    given: list[int] = []
    for key, weight in jobs:
        turn = max(clock, ends.get(key, clock))
        ends[key] = turn + span(weight)
        given.append(turn)
    return given
