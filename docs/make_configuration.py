"""Write the tables of `reference/configuration.md` from `core/config.py`: every key with its default.

python -m docs.make_configuration
"""

# ruff: noqa: INP001 - scripts beside the pages that they write

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from aiojobs_engine.core import config
from aiojobs_engine.core.job_settings import JobSettings
from aiojobs_engine.core.retry import RetrySpec
from docs.pages import DOCS, table, write

PAGE = DOCS / "reference" / "configuration.md"

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "top": config.Settings,
    "worker": config.WorkerSettings,
    "defaults": config.DefaultSettings,
    "retry": RetrySpec,
    "jobs": JobSettings,
    "queues": config.QueueSettings,
    "chunking": config.ChunkingSettings,
    "listeners": config.ListenerSettings,
    "delivery": config.DeliverySettings,
    "notify": config.NotifySettings,
    "smtp": config.SmtpSettings,
    "retention": config.KeepSettings,
    "storage": config.StorageSettings,
    "limits": config.LimitSettings,
    "masking": config.MaskingSettings,
    "execution_log": config.ExecutionLogSettings,
    "sqlite": config.SqliteSettings,
    "telemetry": config.TelemetrySettings,
}

MEANINGS = {
    "top.url": "where the jobs lie",
    "top.app": "the `module:attribute` of the engine, for the command line",
    "worker.concurrency": "jobs at once in one process",
    "worker.processes": "worker processes",
    "worker.queues": "queues to work on; left out, those of all registered types",
    "worker.lease": "a claim holds so long without renewal; renewals come every third of it",
    "worker.rescue_interval": "how often a worker looks for leases that ran out",
    "worker.drain_timeout": "what running jobs get at shutdown before they are cancelled",
    "worker.cancel_timeout": "what a cancelled handler gets before its slot is given to others",
    "worker.cron": "whether workers fire cron entries; any number of them may",
    "worker.environment": "what the worker is part of, like `production`; cron entries may ask for one",
    "worker.metrics_port": "where `worker` shows figures to Prometheus, 0 for any free port",
    "worker.metrics_host": "the address of that",
    "worker.max_crashes": "dead workers that a job may take with it before it fails as `crashed_worker`",
    "defaults.queue": "the queue",
    "defaults.priority": "higher runs first",
    "defaults.timeout": "what one run may take; of jobs that checkpoint, the time since the last checkpoint",
    "defaults.result_ttl": "how long a result is kept",
    "defaults.retry": "the retry policy, see below",
    "retry.policy": "the kind of schedule",
    "retry.max_attempts": "attempts in all, the first one too",
    "retry.base": "the wait before the first retry; of `fixed` the wait before each",
    "retry.multiplier": "each wait is so many times the last one; `exponential` only",
    "retry.cap": "no wait is longer",
    "retry.jitter": "each wait is moved by up to this share of it, 0 to 1; `exponential` only",
    "jobs.queue": "the queue",
    "jobs.priority": "higher runs first",
    "jobs.timeout": "what one run may take; 0 is without bound",
    "jobs.result_ttl": "how long a result is kept",
    "jobs.retry": "the retry policy",
    "jobs.max_crashes": "as `worker.max_crashes`",
    "jobs.delay": "not started before so long after the dispatch",
    "jobs.expires": "not started later than so long after the dispatch",
    "jobs.user_id": "whose jobs these are",
    "jobs.tags": "tags of every job",
    "jobs.meta": "JSON data beside the arguments",
    "jobs.unique": "one such job at a time: `by`, `window`, `states`, `key`, `mode`, `delay`, `max_wait`",
    "jobs.concurrency": "how many run at once, in all workers; or a table with `limit` and `by`",
    "jobs.rate_limit": "how many start in a time, like `100/minute`; or a table with `rate`, `by`, `burst`, `sliding`",
    "jobs.breaker": "none start while their runs fail: `failure_rate`, `min_runs`, `window`, `open_for`, `probes`",
    "jobs.run_in": "where workers run a plain function",
    "jobs.cost": "how much one job takes from rates",
    "queues.concurrency": "how many run at once, in all workers",
    "queues.rate_limit": "how many start in a time, like `100/minute`; or a table with `rate`, `burst`, `sliding`",
    "queues.fair_by": "whose jobs take turns: `user_id`, `type`, or the name of an argument",
    "queues.max_pending": "how many pending jobs it may have; none is without bound",
    "queues.overflow": "what becomes of one more",
    "queues.partitions": "over how many homes of a store in Redis its jobs are spread; elsewhere it says nothing",
    "queues.weights": "how many turns some of them have, by their text; 1 for the others",
    "jobs.listeners": "`[listeners]` for these jobs alone",
    "jobs.chunking": "`[chunking]` for these jobs alone",
    "jobs.label": "what people call these jobs; `types --json` shows it",
    "jobs.delivery": "`[delivery]` for these jobs alone",
    "jobs.storage": "`[storage]` for these jobs alone",
    "jobs.handler": "declares the type: `module:attribute` of a function, or of a class whose objects can be called",
    "jobs.kind": "of a declared type: `job` without, `import`, `export`, `sync`, `report`, or your own",
    "jobs.row": "of a declared importer: `module:attribute` of its row type",
    "jobs.key": "of a declared importer: the field that tells rows apart; of an exporter: what its rows are ordered by",
    "jobs.columns": "of a declared exporter: the fields of a row in order; a table gives them other names in the file",
    "jobs.formulas": "of a declared exporter: columns whose text may be a formula",
    "jobs.parts": "of a declared exporter: `module:attribute` of the function that names its parts",
    "jobs.parallel": "of a declared exporter: how many parts are read at once",
    "jobs.spread": "of a declared exporter: whether its parts are jobs of their own",
    "jobs.format": "of a declared importer: the form of its sources; of an exporter: that of files whose call names none",
    "jobs.encoding": "of a declared importer: that of its text files",
    "jobs.delimiter": "of a declared importer: that of its CSV files",
    "jobs.header": "of a declared importer: the names of the columns, for files whose first line is a row",
    "jobs.sheet": "of a declared importer: the sheet of workbooks",
    "chunking.size": "rows per chunk",
    "chunking.threshold": "up to so many rows one job does alone",
    "listeners.broadcast": "the live events of front ends show these jobs",
    "listeners.log": "one log line per job that ended or is tried again, by the logger `aiojobs_engine.jobs`",
    "listeners.notify": "who wants to know is told by webhook, e-mail or a call how a job ended",
    "delivery.mode": "where files of exports go: `download` to the path that `to=` names, `link` into "
    "the storage, `both`; left out, it is `download` for calls with `to=`, else `link`",
    "delivery.keep": "files in the storage are removed after `ttl`, or stay when they are `permanent`",
    "delivery.ttl": "how long a temporary file is kept",
    "notify.statuses": "the ends that are told",
    "notify.webhook": "a URL that is told of every job, beside what `@engine.recipients` answers",
    "notify.secret": "what signs it",
    "notify.email": "addresses that are told of every job",
    "notify.timeout": "for one webhook or call; e-mail may take three times as long",
    "notify.attempts": "how often a recipient is tried; pauses begin at 1 s",
    "notify.ports": "the ports that webhooks may connect to",
    "notify.allow": "hosts, addresses and networks that webhooks may connect to although they are not public",
    "smtp.host": "the server",
    "smtp.port": "its port",
    "smtp.user": "the login, none without",
    "smtp.password": "its password",
    "smtp.sender": "the address that e-mail comes from; `user` without one",
    "smtp.security": "`starttls` and `tls` send nothing in the clear",
    "retention.age": "how long ended jobs stay",
    "retention.keep": "how many ended jobs stay, the newest",
    "storage.path": "the directory with the rows of bulk jobs and the files of exports, for all workers",
    "storage.driver": "`local`, or `module:attribute` of what makes a `Storage` of the path",
    "storage.ttl": "from the dispatch of an import until its source is removed, when the import has ended; "
    "left out, it stays as long as its job",
    "limits.payload_bytes": "the most that the arguments of a job may take as JSON",
    "limits.result_bytes": "the most that a result may take as JSON",
    "limits.record_bytes": "the most that a row of an import may take",
    "limits.columns": "how many columns a source of rows may have",
    "limits.inflated_bytes": "what a compressed source may unfold to",
    "limits.inflation": "how many times its size a compressed source may unfold to, beyond the first 16 MiB",
    "limits.workbook_bytes": "what the parts of an XLSX workbook may unfold to",
    "execution_log.handlers": "`file`, `database`, and those of the application; off without",
    "execution_log.path": "the directory of the files",
    "execution_log.file_bytes": "a file that has grown to this is followed by a new one",
    "execution_log.files": "how many files of a machine stay, the newest",
    "execution_log.keep": "how many records stay in the database, about",
    "execution_log.age": "how long files and records stay",
    "execution_log.payload_chars": "payloads are cut at this",
    "execution_log.output_chars": "results are cut at this",
    "execution_log.hash_secret": "the key of the hash of payloads; without it the masked payload is hashed",
    "masking.keys": "what stands under these keys is a secret, beside the built-in ones, in any case",
    "masking.patterns": "regular expressions; what matches is a secret",
    "telemetry.tracing": "make spans as soon as the program has set a tracer provider",
    "telemetry.trace_parenting": "whether runs begin traces, linked to their dispatches, or go on in theirs",
    "telemetry.trace_settlements": "a span for each write of outcomes, too",
    "telemetry.trace_claims": "a span for each claim that brought jobs, too",
    "telemetry.log_format": "how `worker` writes its logs; see `--log-format`",
    "telemetry.exporter": "where `worker` sends spans, metrics and logs that the program has set no provider for",
    "telemetry.metrics": "figures go to the engine's collector, or to the meter provider of the program",
    "sqlite.durability": "`full` syncs each commit to the disk; `normal` may lose the newest in a power cut",
}


def parts() -> dict[str, str]:
    """The generated parts of the page."""
    return {name: _section(name, section) for name, section in SECTIONS.items()}


def _section(name: str, section: type[msgspec.Struct]) -> str:
    rows = [
        [f"`{field.name}`", _kind(field.type), _default(field.default), MEANINGS[f"{name}.{field.name}"]]
        for field in msgspec.structs.fields(section)
        if f"{name}.{field.name}" in MEANINGS or not _is_section(field.type)
    ]
    return table(["key", "value", "default", "meaning"], rows)


def _is_section(hint: Any) -> bool:
    return get_origin(hint) is dict or (isinstance(hint, type) and issubclass(hint, msgspec.Struct))


def _kind(hint: Any) -> str:
    options = [each for each in _options(hint) if each is not NoneType]
    return " or ".join(dict.fromkeys(_word(each) for each in options))


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _word(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Annotated:
        return _bounded(get_args(hint)[0], get_args(hint)[1])
    if origin is Literal:
        return " or ".join(f'`"{word}"`' for word in get_args(hint))
    if origin in (list, tuple):
        return "list of names"
    if origin is dict or _is_section(hint):
        return "table"
    return {str: "string", int: "whole number", float: "number", bool: "`true` or `false`"}[hint]


def _bounded(hint: Any, meta: msgspec.Meta) -> str:
    word = "seconds" if meta.title == "seconds" else "name" if hint is str else _word(hint)
    return word if not meta.ge or meta.ge < 0 else f"{word}, at least {meta.ge:g}"


def _default(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return "below"
    if value is None or value is msgspec.NODEFAULT:
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


if __name__ == "__main__":
    write(PAGE, parts())
