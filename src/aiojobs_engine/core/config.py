"""Every setting with its default."""

import re
from typing import Annotated, Literal

import msgspec

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.gates import Overflow
from aiojobs_engine.core.job_settings import (
    AtLeastOne,
    DeliveryMode,
    JobSettings,
    LeaseSeconds,
    Name,
    OptionSettings,
    Port,
    Priority,
    Seconds,
    Section,
    Weight,
)
from aiojobs_engine.core.limiting import Rate
from aiojobs_engine.core.limits import PAYLOAD_BYTES, RESULT_BYTES
from aiojobs_engine.core.masking import Masker, masker_of
from aiojobs_engine.core.retry import RetrySpec
from aiojobs_engine.core.state import Status


class WorkerSettings(Section, frozen=True, kw_only=True):
    """`[worker]`.

    Attributes:
        concurrency: slots per process, at least 1.
        queues: None means the queues of all registered types.
        lease: seconds that a claim holds without renewal; a dead worker's jobs run again within this plus
            `rescue_interval`.
        drain_timeout: seconds that running jobs get at shutdown; `cancel_timeout` more after they were told.
        cron: whether it fires cron entries; any number of workers may.
        environment: what this worker is part of, like `production`; cron entries may ask for one.
        max_crashes: dead workers that a job may take with it before it is failed as `crashed_worker`.
        metrics_port: where the command `worker` shows its figures to Prometheus, 0 for any free one; under a
            supervisor each process takes the next one. None shows none.
    """

    concurrency: AtLeastOne = 100
    processes: AtLeastOne = 1
    queues: list[Name] | None = None
    lease: LeaseSeconds = 10.0
    rescue_interval: LeaseSeconds = 2.0
    drain_timeout: Seconds = 25.0
    cancel_timeout: Seconds = 2.0
    cron: bool = True
    environment: Name | None = None
    max_crashes: AtLeastOne = 5
    metrics_port: Port | None = None
    metrics_host: str = "127.0.0.1"


class DefaultSettings(Section, frozen=True, kw_only=True):
    """`[defaults]`: options of every job that nothing nearer sets. Seconds."""

    queue: Name = "default"
    priority: Priority = 0
    timeout: Seconds = 300.0
    result_ttl: Seconds = 3600.0
    retry: RetrySpec = RetrySpec()


class QueueSettings(Section, frozen=True, kw_only=True):
    """`[queues.NAME]`: what holds for all jobs of a queue together.

    Attributes:
        concurrency: how many run at once, in all workers together.
        rate_limit: how many start in a time, like "100/minute".
        fair_by: whose jobs take turns: `user_id`, `type`, or the name of an argument. Jobs that have
            none share their turns.
        max_pending: how many pending jobs it may have; None is no bound.
        overflow: what becomes of a job that finds no room: it is refused with `QueueFull`, or its dispatcher
            waits, or it or the oldest one is discarded.
        partitions: over how many homes of a store in Redis its jobs are spread, at most as many as that has;
            other stores have one place for all jobs.
        weights: turns of some of them, by their text; 1 for the others, within 0.001 to 1,000.
    """

    concurrency: Annotated[int, msgspec.Meta(ge=0)] | None = None
    rate_limit: str | Rate | None = None
    fair_by: Name | None = None
    max_pending: AtLeastOne | None = None
    overflow: Overflow = "refuse"
    partitions: AtLeastOne = 1
    weights: dict[str, Weight] = msgspec.field(default_factory=dict)


class ListenerSettings(Section, frozen=True, kw_only=True):
    """`[listeners]`: which built-in listeners run."""

    broadcast: bool = True
    log: bool = True
    notify: bool = False


class NotifySettings(Section, frozen=True, kw_only=True):
    """`[notify]`: who is told beside those that `@engine.recipients` names, and how.

    Attributes:
        statuses: the ends that are told.
        webhook, secret, email: are told of every job.
        timeout: seconds for one webhook or call; e-mail may take three times as long.
        attempts: how often a recipient is tried; pauses begin at 1 s.
        ports, allow: what webhooks may connect to; `allow` are hosts, addresses and networks that are not
            public.
    """

    statuses: tuple[Status, ...] = (Status.COMPLETED, Status.PARTIAL, Status.FAILED)
    webhook: str | None = None
    secret: str | None = None
    email: tuple[str, ...] = ()
    timeout: Seconds = 10.0
    attempts: AtLeastOne = 5
    ports: tuple[int, ...] = (80, 443)
    allow: tuple[str, ...] = ()


class SmtpSettings(Section, frozen=True, kw_only=True):
    """`[smtp]`: the server that sends e-mail; `sender` is `user` without one."""

    host: str | None = None
    port: AtLeastOne = 587
    user: str | None = None
    password: str | None = None
    sender: str | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"


class ChunkingSettings(Section, frozen=True, kw_only=True):
    """`[chunking]`: rows per chunk, and up to how many rows one job does alone."""

    size: AtLeastOne = 1000
    threshold: Annotated[int, msgspec.Meta(ge=0)] = 1000


class DeliverySettings(Section, frozen=True, kw_only=True):
    """`[delivery]`: what becomes of the files of exports.

    Attributes:
        mode: `download` puts the file where `to=` says, `link` keeps it in the storage under an opaque id,
            `both` does both. Left out, it is `download` for a call with `to=`, else `link`.
        keep: files in the storage are `temporary`, removed after `ttl`, or `permanent`.
        ttl: seconds that a temporary file is kept.
    """

    mode: DeliveryMode | None = None
    keep: Literal["temporary", "permanent"] = "temporary"
    ttl: Seconds = 86_400.0


class KeepSettings(Section, frozen=True, kw_only=True):
    """How long final jobs stay, whichever comes first: `age` (seconds) and how many."""

    age: Seconds = 86_400.0
    keep: Annotated[int, msgspec.Meta(ge=0)] = 100_000


class RetentionSettings(Section, frozen=True, kw_only=True):
    """`[retention]`: `completed` holds for partial, cancelled, discarded and expired jobs too."""

    completed: KeepSettings = KeepSettings()
    failed: KeepSettings = KeepSettings(age=30 * 86_400.0)


class StorageSettings(Section, frozen=True, kw_only=True):
    """`[storage]`: where the rows of bulk jobs and the files of exports lie, for all workers.

    Attributes:
        path: the directory, or what the driver takes for one.
        driver: `local`, or `module:attribute` of what makes a `Storage` of the path.
        ttl: seconds from the dispatch of an import after which its source is removed, when the import has
            ended; None keeps it as long as its job.
    """

    path: str = "aiojobs-files"
    driver: str = "local"
    ttl: Seconds | None = None


class LimitSettings(Section, frozen=True, kw_only=True):
    """`[limits]`: bytes, where nothing else is said.

    Attributes:
        record_bytes: one row of an import; longer ones are failed rows, or fail their file.
        columns: how many a source of rows may have.
        inflated_bytes: what a compressed source may unfold to.
        inflation: how many bytes may unfold from one byte of a compressed source, beyond the first 16 MiB.
        workbook_bytes: what all parts of an XLSX workbook may unfold to.
    """

    payload_bytes: AtLeastOne = PAYLOAD_BYTES
    result_bytes: AtLeastOne = RESULT_BYTES
    record_bytes: AtLeastOne = 1024 * 1024
    columns: AtLeastOne = 1000
    inflated_bytes: AtLeastOne = 10 * 1024**3
    inflation: AtLeastOne = 100
    workbook_bytes: AtLeastOne = 200_000_000


class MaskingSettings(Section, frozen=True, kw_only=True):
    """`[masking]`: what is a secret of yours, beside the built-in rules.

    Attributes:
        keys: what stands under these keys is masked, whatever their case and joints: `iban`, `api_user`.
        patterns: regular expressions; what matches is masked.
    """

    keys: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


class ExecutionLogSettings(Section, frozen=True, kw_only=True):
    """`[execution_log]`: a record per run, off without handlers.

    Attributes:
        handlers: `file`, `database` (the store of the jobs), and those that the application registers.
        path: the directory of the files; any number of processes may share it.
        file_bytes: a file that has grown to this is followed by a new one.
        files: how many files stay per machine; `keep` is how many records of the database, about.
        hash_secret: keys the hash of payloads; without it the hash is that of the masked payload.
    """

    handlers: tuple[str, ...] = ()
    path: str = "aiojobs-executions"
    file_bytes: AtLeastOne = 10_000_000
    files: AtLeastOne = 20
    keep: AtLeastOne = 100_000
    age: Seconds = 30 * 86_400.0
    payload_chars: AtLeastOne = 4000
    output_chars: AtLeastOne = 2000
    hash_secret: str | None = None


class SqliteSettings(Section, frozen=True, kw_only=True):
    """`[sqlite]`: `full` keeps every acknowledged job through a power cut, `normal` may lose the newest."""

    durability: Literal["full", "normal"] = "full"


class TelemetrySettings(Section, frozen=True, kw_only=True):
    """`[telemetry]`.

    Attributes:
        tracing: spans are made as soon as the program has set a tracer provider; false makes none even then.
        trace_parenting: a run is the root of a trace that links to its dispatch (`link`), or goes on in the
            trace of its dispatch (`parent`).
        trace_settlements: a span for each write of outcomes, too.
        trace_claims: a span for each claim that brought jobs, too.
        log_format: how the command `worker` writes its logs.
        exporter: where the command `worker` sends spans, figures and logs that the program has set no
            provider for; `auto` is `otlp` where OTEL_EXPORTER_OTLP_ENDPOINT is set.
        metrics: figures go to the engine's collector, or where the program has set a meter provider.
    """

    tracing: bool = True
    trace_parenting: Literal["link", "parent"] = "link"
    trace_settlements: bool = True
    trace_claims: bool = False
    metrics: bool = True
    log_format: Literal["text", "json"] = "text"
    exporter: Literal["auto", "none", "otlp", "console"] = "auto"


class Settings(Section, frozen=True, kw_only=True):
    """The whole configuration."""

    url: str = "sqlite:///aiojobs.db"
    app: str | None = None
    worker: WorkerSettings = WorkerSettings()
    defaults: DefaultSettings = DefaultSettings()
    notify: NotifySettings = NotifySettings()
    smtp: SmtpSettings = SmtpSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    listeners: ListenerSettings = ListenerSettings()
    delivery: DeliverySettings = DeliverySettings()
    kinds: dict[str, OptionSettings] = msgspec.field(default_factory=dict)
    jobs: dict[str, JobSettings] = msgspec.field(default_factory=dict)
    queues: dict[str, QueueSettings] = msgspec.field(default_factory=dict)
    retention: RetentionSettings = RetentionSettings()
    storage: StorageSettings = StorageSettings()
    limits: LimitSettings = LimitSettings()
    masking: MaskingSettings = MaskingSettings()
    execution_log: ExecutionLogSettings = ExecutionLogSettings()
    sqlite: SqliteSettings = SqliteSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @property
    def masker(self) -> Masker:
        """What masks secrets by these settings.

        Raises:
            ConfigError: a pattern of `masking` is no regular expression, or a key is none.
        """
        return masker_of(self.masking.keys, self.masking.patterns)

    def __repr__(self) -> str:
        """Show all but secrets."""
        values = msgspec.structs.asdict(self)
        return self.masker.text(
            f"Settings({', '.join(f'{name}={value!r}' for name, value in values.items())})"
        )


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def seconds_of(duration: float | str) -> float:
    """Seconds of a number, or of "500ms", "30s", "5m", "2h", "1d".

    Raises:
        ConfigError: it is none of these, or negative.
    """
    if isinstance(duration, str):
        found = _DURATION.fullmatch(duration.strip())
        if found is None:
            raise ConfigError(
                f"a duration is a number of seconds or like '30s', '5m', '2h', '1d', got {duration!r}"
            )
        return float(found.group(1)) * _UNITS[found.group(2)]
    if not 0 <= duration < float("inf"):
        raise ConfigError(f"a duration is at least 0 seconds, got {duration!r}")
    return float(duration)
