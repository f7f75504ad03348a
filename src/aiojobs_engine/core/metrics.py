"""The catalogue of metrics: every figure that the engine tells, with its unit and its labels.

Names follow OpenTelemetry's conventions for messaging (1.44.0) where those have one, else they are our own.
"""

from typing import Literal

import msgspec


class Metric(msgspec.Struct, frozen=True):
    """One figure.

    Attributes:
        unit: in OpenTelemetry's spelling: `s`, or what is counted, like `{job}`.
        labels: the names of its labels, in the order in which their values are given.
        buckets: upper bounds of a histogram's buckets, rising.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    about: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


OPERATION = "messaging.operation.name"
SYSTEM = "messaging.system"
QUEUE = "messaging.destination.name"
ERROR = "error.type"
TASK = "aiojobs_engine.task.name"
OUTCOME = "aiojobs_engine.job.outcome"
CRON = "aiojobs_engine.cron.key"

_FAST = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)

SENT = Metric(
    "messaging.client.sent.messages",
    "counter",
    "{message}",
    "Jobs that a write of dispatches took to the store, with error.type when it failed.",
    (OPERATION, SYSTEM, QUEUE, ERROR),
)
FETCHED = Metric(
    "messaging.client.consumed.messages",
    "counter",
    "{message}",
    "Jobs that workers claimed.",
    (OPERATION, SYSTEM, QUEUE),
)
OPERATION_SECONDS = Metric(
    "messaging.client.operation.duration",
    "histogram",
    "s",
    "What a call of the store took: dispatch, receive (a claim that brought jobs) and settle.",
    (OPERATION, SYSTEM, ERROR),
    _FAST,
)
RUN_SECONDS = Metric(
    "messaging.process.duration",
    "histogram",
    "s",
    "What a run took, from its start to its outcome.",
    (OPERATION, SYSTEM, QUEUE, TASK, ERROR),
    _LONG,
)
WAIT_SECONDS = Metric(
    "aiojobs_engine.job.wait.duration",
    "histogram",
    "s",
    "How long a job waited for its first run after it was due.",
    (TASK, QUEUE),
    _LONG,
)
COMPLETED = Metric(
    "aiojobs_engine.job.completed",
    "counter",
    "{job}",
    "Runs that came to an outcome.",
    (TASK, QUEUE, OUTCOME),
)
FAILURES = Metric(
    "aiojobs_engine.job.failures",
    "counter",
    "{attempt}",
    "Attempts that failed, whatever followed.",
    (TASK, QUEUE, ERROR),
)
RETRIES = Metric(
    "aiojobs_engine.job.retries",
    "counter",
    "{retry}",
    "Failed attempts that put their job back into the queue.",
    (TASK, QUEUE, ERROR),
)
TIMEOUTS = Metric(
    "aiojobs_engine.job.timeouts",
    "counter",
    "{attempt}",
    "Attempts that ran past their timeout.",
    (TASK, QUEUE),
)
DEAD = Metric(
    "aiojobs_engine.job.dead_lettered",
    "counter",
    "{job}",
    "Jobs that failed for good.",
    (TASK, QUEUE, "reason"),
)
ROWS = Metric(
    "aiojobs_engine.import.rows",
    "counter",
    "{row}",
    "Rows of imports, by result: succeeded, skipped or failed.",
    (TASK, "result"),
)
BATCH = Metric(
    "aiojobs_engine.finalizer.batch.size",
    "histogram",
    "{job}",
    "Outcomes that travelled in one write.",
    (),
    _SIZES,
)
LEASES_LOST = Metric(
    "aiojobs_engine.lease.lost",
    "counter",
    "{lease}",
    "Runs whose lease was somebody else's when they ended.",
    (TASK, QUEUE),
)
QUEUE_DEPTH = Metric(
    "aiojobs_engine.queue.depth",
    "gauge",
    "{job}",
    "Jobs in the store that have not ended; every worker tells the same figure, so take the largest.",
    (QUEUE, "state"),
)
OLDEST_AGE = Metric(
    "aiojobs_engine.queue.oldest_age",
    "gauge",
    "s",
    "How long the oldest pending job has been due; every worker tells the same figure.",
    (QUEUE,),
)
SLOTS_USED = Metric("aiojobs_engine.worker.slots.used", "gauge", "{slot}", "Runs under way.")
SLOTS_LIMIT = Metric("aiojobs_engine.worker.slots.limit", "gauge", "{slot}", "Runs that fit at once.")
STUCK = Metric(
    "aiojobs_engine.worker.stuck",
    "gauge",
    "{job}",
    "Handlers that ignored every cancel; their slots were given to others.",
)
DROPPED = Metric(
    "aiojobs_engine.listener.dropped",
    "counter",
    "{event}",
    "Events that gave way because their listener was too slow.",
    ("listener",),
)
LISTENER_FAILED = Metric(
    "aiojobs_engine.listener.failed",
    "counter",
    "{failure}",
    "Calls of a listener that raised or ran out of time, and notifications that did not get through.",
    ("listener", ERROR),
)
LISTENER_WAITING = Metric(
    "aiojobs_engine.listener.waiting",
    "gauge",
    "{event}",
    "Events that wait for a listener; they rise to 1,000 while it hangs.",
    ("listener",),
)
CRON_LAG = Metric(
    "aiojobs_engine.cron.lag",
    "histogram",
    "s",
    "How long after its instant a cron entry fired.",
    (CRON,),
    _LONG,
)
LOOP_LAG = Metric(
    "aiojobs_engine.loop.lag",
    "histogram",
    "s",
    "How late the event loop of a worker answers its watchdog.",
    (),
    _FAST,
)

CATALOGUE = (
    SENT,
    FETCHED,
    OPERATION_SECONDS,
    RUN_SECONDS,
    WAIT_SECONDS,
    COMPLETED,
    FAILURES,
    RETRIES,
    TIMEOUTS,
    DEAD,
    ROWS,
    BATCH,
    LEASES_LOST,
    QUEUE_DEPTH,
    OLDEST_AGE,
    SLOTS_USED,
    SLOTS_LIMIT,
    STUCK,
    DROPPED,
    LISTENER_FAILED,
    LISTENER_WAITING,
    CRON_LAG,
    LOOP_LAG,
)
