"""One run in, one outcome out. It decides nothing about retries and writes nothing."""

import asyncio
import logging
from collections.abc import Iterator
from typing import cast

from aiojobs_engine.core.errors import Discard, LeaseLostError, RetryLater, Signal, Snooze
from aiojobs_engine.core.outcome import (
    Cancelled,
    Discarded,
    Failed,
    Interrupted,
    Outcome,
    Paused,
    RowsKept,
    Snoozed,
    WorkerLost,
)
from aiojobs_engine.core.retry import clamped
from aiojobs_engine.runtime.context import JobContext, StopAtCheckpoint, enter_context
from aiojobs_engine.runtime.offload import ChildDied
from aiojobs_engine.runtime.run import Run, Stop
from aiojobs_engine.runtime.run_port import RunPort

logger = logging.getLogger(__name__)


class DeadlineExceeded(TimeoutError):
    """The handler ran longer than its `timeout`."""


async def execute(run: Run, port: RunPort) -> Outcome | None:
    """Run the handler of `run` and say what became of it; whatever it raises is an outcome.

    None when the lease is lost: somebody else finalizes the job, and nothing of this run counts.
    """
    context = run.context = JobContext(run.claim, port)
    context.stopping = context.pausing = run.pausing
    enter_context(context)
    try:
        return await run.job_type.perform(context, run.claim)
    except asyncio.CancelledError as error:
        return ended(run, error)
    except StopAtCheckpoint:
        return stopped(run)
    except LeaseLostError:
        if run.stop is None:
            logger.warning("the lease of job %s was lost; its handler has ended", run.claim.envelope.id)
        return None
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt of a handler end the attempt, not the worker
        return _raised(error)


def stopped(run: Run) -> Outcome:
    """What became of a run that ended at a place where it can go on."""
    if run.stop is Stop.CANCELLED:
        return Cancelled(_kept(run))
    return Paused(_kept(run)) if run.pausing else Interrupted(_kept(run))


def _kept(run: Run) -> RowsKept | None:
    return None if run.context is None else run.context.rows_kept


def ended(run: Run, error: asyncio.CancelledError) -> Outcome | None:
    """What became of a cancelled run, by who told it to end; nobody did means that its handler raised it."""
    match run.stop:
        case Stop.TIMEOUT:
            return Failed(DeadlineExceeded(f"ran longer than its timeout of {run.timeout:g} s"))
        case Stop.CANCELLED:
            return Cancelled(_kept(run))
        case Stop.SHUTDOWN:
            return Interrupted(_kept(run))
        case Stop.LOST:
            return None
        case None:
            return Failed(error)


def _raised(error: BaseException) -> Outcome:
    if isinstance(error, ChildDied):
        return WorkerLost(str(error))
    for signal in _signals(error):
        match signal:
            case Snooze(seconds=seconds):
                return Snoozed(clamped(seconds))
            case Discard(reason=reason):
                return Discarded(reason)
            case RetryLater(seconds=seconds, at=at):
                return Failed(signal, delay=clamped(seconds), not_before=at)
            case _:
                pass
    return Failed(error)


def _signals(error: BaseException) -> Iterator[Signal]:
    """The signals in an error and in its groups, however deep they nest, in order."""
    left = [error]
    while left:
        found = left.pop()
        if isinstance(found, Signal):
            yield found
        elif isinstance(found, BaseExceptionGroup):
            left += reversed(cast("BaseExceptionGroup[BaseException]", found).exceptions)
