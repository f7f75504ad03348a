"""The names of spans and attributes: OpenTelemetry's messaging conventions, and our own beside them.

Source: OpenTelemetry semantic conventions 1.44.0, messaging spans. The strings stand here and not in a
dependency, because the conventions' package may still rename its own.
"""

from aiojobs_engine.core.outcome import (
    Cancelled,
    Discarded,
    Failed,
    Interrupted,
    Outcome,
    Paused,
    Snoozed,
    WorkerLost,
)
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Settlement

SCOPE = "aiojobs_engine"
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
SYSTEM = "aiojobs_engine"

MESSAGING_SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
CLIENT_ID = "messaging.client.id"
BATCH_COUNT = "messaging.batch.message_count"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

TASK_NAME = "aiojobs_engine.task.name"
JOB_ATTEMPT = "aiojobs_engine.job.attempt"
JOB_MAX_ATTEMPTS = "aiojobs_engine.job.max_attempts"
JOB_OUTCOME = "aiojobs_engine.job.outcome"
JOB_SCHEDULED_AT = "aiojobs_engine.job.scheduled_at"
CRON_KEY = "aiojobs_engine.cron.key"

CREATE, DISPATCH, SCHEDULE, PROCESS = "create", "dispatch", "schedule", "process"
SEND, SETTLE, RECEIVE = "send", "settle", "receive"

ERRORS = frozenset({"retry", "failed", "timeout"})
"""The outcomes that are errors; a cancel, a shutdown or a wish of the handler is none."""

_OUTCOMES: dict[type[object], str] = {
    Cancelled: "cancelled",
    Discarded: "discarded",
    Interrupted: "interrupted",
    Paused: "paused",
    Snoozed: "snoozed",
}
_SETTLES = {
    Status.FAILED: "dead_letter",
    Status.RETRYING: "retry",
    Status.SCHEDULED: "snooze",
    Status.PENDING: "release",
    Status.PAUSED: "release",
}


def outcome_name(outcome: Outcome | None, settlement: Settlement | None) -> str:
    """What became of a run, as spans and metrics say it: one of a dozen words."""
    if outcome is None or settlement is None:
        return "lost"
    if isinstance(outcome, Failed | WorkerLost) or settlement.status is Status.FAILED:
        if settlement.status is not Status.FAILED:
            return "retry"
        is_timeout = settlement.error is not None and settlement.error.type == "timeout"
        return "timeout" if is_timeout else "failed"
    return _OUTCOMES.get(type(outcome), "succeeded")


def settle_name(status: Status) -> str:
    """The operation that a settlement is: `ack`, `retry`, `dead_letter`, `snooze` or `release`."""
    return _SETTLES.get(status, "ack")
