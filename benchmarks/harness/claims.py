"""The claim call alone: one caller that claims, is timed, and hands everything back."""

import time

from aiojobs_engine import Engine, JobInterrupted
from aiojobs_engine.core.events import event_of
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Claim, Settlement, Watch

BATCH = 100
CALLS = 100
_WATCH = Watch("benchmark", ("default",), ("empty",))


async def claim_micros(engine: Engine) -> list[float]:
    """The µs per job of each of 100 claims of 100 jobs, which are pending again afterwards, as they were."""
    store, claims, micros = engine.store, list[Claim](), list[float]()
    for _ in range(CALLS):
        began = time.perf_counter()
        claimed = await store.claim(_WATCH, BATCH, 60.0)
        micros.append((time.perf_counter() - began) / len(claimed) * 1e6)
        claims += claimed
    assert all(await store.settle([_handed_back(claim, engine) for claim in claims]))
    return micros


def _handed_back(claim: Claim, engine: Engine) -> Settlement:
    now, counters = engine.clock.now(), claim.counters
    event = event_of(JobInterrupted, claim.envelope, Status.PENDING, counters, claim.attempts + 1, now)
    return Settlement(
        lease=claim.lease, status=Status.PENDING, attempts=claim.attempts, crashes=claim.crashes, event=event
    )
