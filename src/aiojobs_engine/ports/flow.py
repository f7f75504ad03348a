"""The port's side for limits; the laws of `ports/backend.py` hold here too.

Limits of a queue and of a type in it (`core.gates.Group`) are met when a claim looks for jobs;
`core.gates.Gate` says what it may take. Running is what is `processing`, so that a settlement, a rescue
that ends or a hand-back frees a slot in its own write. What a rate has let through is kept as
`core.rates.RateState`, moved in the write of the claim.

Limits by key hold for the jobs of one type in one queue that have the same `limit_key`. Of a key's pending
jobs those that come first in claim order may be claimed, as many as `core.gates.admitted` says; the others
are held back without being looked at by claims. Every change of a key's pending or running jobs, of its
limits, and the time that `admitted` names, makes this anew.

Fair turns: a job with a `fair_key` gets its turn (`core.fairness.turns`) when it becomes `pending` for the
first time, in the order of acceptance, and keeps it. Clock and ends are kept by queue and priority. A claim
moves the clock to the turns it takes. A new clock stands at `core.fairness.SPAN` times the number of jobs
ever accepted, and jobs without a `fair_key` have the turn `SPAN` times their own number in that order.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from aiojobs_engine.core.gates import Limit


class LimitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stored limit at one read.

    Attributes:
        in_force: False for one of the code that the desk has overruled.
        running: the jobs of its group that are `processing`; of a limit by key those of all keys.
        room: how much its rate lets start now, None without a rate and for a limit by key.
    """

    limit: Limit
    in_force: bool
    running: int
    room: int | None = None


class FlowStore(Protocol):
    """Limits, changed at run time."""

    async def set_limits(self, limits: Sequence[Limit]) -> None:
        """Store limits, each in place of the one of the same group and origin; an empty one removes it.

        They hold from the next claim on; running jobs go on. What rates have let through stays counted.
        """
        ...

    async def limits(self) -> list[LimitRecord]:
        """All limits, by queue, type, `by_key` and origin."""
        ...
