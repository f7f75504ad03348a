"""What a dispatcher does when a queue is full."""

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import QueueFull
from aiojobs_engine.core.gates import Group, in_force
from aiojobs_engine.lifetime.session import Session
from aiojobs_engine.ports.backend import Enqueued

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


async def submitted(session: Session, envelope: Envelope) -> Enqueued:
    """Store a job in one write with those that others dispatch now.

    Raises:
        QueueFull: its queue is full and refuses.
    """
    answer = await session.writes.submit(envelope)
    return await admitted(session, envelope) if answer.refused else answer


async def admitted(session: Session, envelope: Envelope) -> Enqueued:
    """Store a job that found no room, as soon as there is some; only where its queue lets dispatchers wait.

    Raises:
        QueueFull: it doesn't.
    """
    pause = _FIRST_PAUSE
    while True:
        limits = in_force(record.limit for record in await session.store.limits())
        bound = limits.get(Group(envelope.queue))
        if bound is not None and bound.max_pending is not None and bound.overflow == "refuse":
            raise QueueFull(envelope.queue)
        await session.clock.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        answer = await session.writes.submit(envelope)
        if not answer.refused:
            return answer
