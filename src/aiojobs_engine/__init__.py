"""One asyncio engine for queued jobs, cron, and bulk import and export.

`Engine` is the door: it registers job types, dispatches jobs, runs workers, and shows what they do.
"""

from aiojobs_engine.bulk.exported import ExportedFile
from aiojobs_engine.bulk.exporter import ExportType
from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.bulk.registry import JobRegistry
from aiojobs_engine.bulk.report import ImportReport
from aiojobs_engine.core import frequencies
from aiojobs_engine.core.breaker import Breaker
from aiojobs_engine.core.errors import (
    BackendClosed,
    BackendError,
    BackendFull,
    BackendUnavailable,
    ConfigError,
    DeliveryError,
    DependencyNotFound,
    Discard,
    EngineError,
    ExportError,
    ExportNotFound,
    ForkedEngineError,
    IdConflict,
    IllegalTransition,
    JobCancelledError,
    JobDiscardedError,
    JobExpiredError,
    JobFailedError,
    JobNotFound,
    LeaseLostError,
    PayloadError,
    PayloadTooLarge,
    QueueFull,
    ResultExpiredError,
    RetryLater,
    SchemaMismatch,
    SingletonHeld,
    SingletonLost,
    Snooze,
    SourceChanged,
    SourceError,
    TooLate,
    UnfinishedResult,
    UnknownJobType,
)
from aiojobs_engine.core.events import (
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobDiscarded,
    JobEvent,
    JobExpired,
    JobFailed,
    JobInterrupted,
    JobProgressed,
    JobRetrying,
    JobStarted,
    JobStatusUpdated,
    LeaseLost,
    status_updated,
)
from aiojobs_engine.core.flow import Batch, group
from aiojobs_engine.core.job import Job
from aiojobs_engine.core.limiting import Concurrency, Rate
from aiojobs_engine.core.needs import Need, When
from aiojobs_engine.core.retry import GiveUp, Requeue, Retry
from aiojobs_engine.core.secret import Secret
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import ErrorInfo, JobFailure, JobStatus
from aiojobs_engine.core.unique import Unique
from aiojobs_engine.core.webhooks import SignatureMismatch
from aiojobs_engine.desks.cron_views import CronRun, CronStatus
from aiojobs_engine.desks.dead import FailureGroup
from aiojobs_engine.desks.explain import Explanation, Reason
from aiojobs_engine.desks.health import Health
from aiojobs_engine.desks.limits import LimitStatus
from aiojobs_engine.desks.trickle import Replayed
from aiojobs_engine.dispatching.flows import BatchHandle
from aiojobs_engine.engine import Engine
from aiojobs_engine.events.listeners.recipients import Call, Email, Webhook
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.integrations.webhooks import verify_webhook
from aiojobs_engine.lifetime.singleton import Singleton
from aiojobs_engine.listing import Listing, Page
from aiojobs_engine.mirror import StatusMirror, sqlite_table
from aiojobs_engine.outbox.outbox import Outbox
from aiojobs_engine.runtime.context import JobContext, NoCurrentJob, current_job
from aiojobs_engine.runtime.job_logs import JobLogFilter
from aiojobs_engine.runtime.registry import JobType
from aiojobs_engine.settings import load_settings
from aiojobs_engine.telemetry.execution_log import ExecutionRecord

__all__ = [
    "BackendClosed",
    "BackendError",
    "BackendFull",
    "BackendUnavailable",
    "Batch",
    "BatchHandle",
    "Breaker",
    "Call",
    "Concurrency",
    "ConfigError",
    "CronRun",
    "CronStatus",
    "DeliveryError",
    "DependencyNotFound",
    "Discard",
    "Email",
    "Engine",
    "EngineError",
    "ErrorInfo",
    "ExecutionRecord",
    "Explanation",
    "ExportError",
    "ExportNotFound",
    "ExportType",
    "ExportedFile",
    "FailureGroup",
    "ForkedEngineError",
    "GiveUp",
    "Health",
    "IdConflict",
    "IllegalTransition",
    "ImportReport",
    "ImportType",
    "Job",
    "JobCancelled",
    "JobCancelledError",
    "JobCompleted",
    "JobContext",
    "JobCreated",
    "JobDiscarded",
    "JobDiscardedError",
    "JobEvent",
    "JobExpired",
    "JobExpiredError",
    "JobFailed",
    "JobFailedError",
    "JobFailure",
    "JobHandle",
    "JobInterrupted",
    "JobLogFilter",
    "JobNotFound",
    "JobProgressed",
    "JobRegistry",
    "JobRetrying",
    "JobStarted",
    "JobStatus",
    "JobStatusUpdated",
    "JobType",
    "LeaseLost",
    "LeaseLostError",
    "LimitStatus",
    "Listing",
    "Need",
    "NoCurrentJob",
    "Outbox",
    "Page",
    "PayloadError",
    "PayloadTooLarge",
    "QueueFull",
    "Rate",
    "Reason",
    "Replayed",
    "Requeue",
    "ResultExpiredError",
    "Retry",
    "RetryLater",
    "SchemaMismatch",
    "Secret",
    "SignatureMismatch",
    "Singleton",
    "SingletonHeld",
    "SingletonLost",
    "Snooze",
    "SourceChanged",
    "SourceError",
    "Status",
    "StatusMirror",
    "TooLate",
    "UnfinishedResult",
    "Unique",
    "UnknownJobType",
    "Webhook",
    "When",
    "current_job",
    "frequencies",
    "group",
    "load_settings",
    "sqlite_table",
    "status_updated",
    "verify_webhook",
]
