"""Write `reference/api.md` and `reference/errors.md` from the docstrings of what is public.

python -m docs.make_api
"""

# ruff: noqa: INP001 - scripts beside the pages that they write

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import Any, cast, get_overloads

import msgspec

import aiojobs_engine
from aiojobs_engine import testing
from aiojobs_engine.bulk.call import ImportArguments
from aiojobs_engine.bulk.registry import ExporterOptions
from aiojobs_engine.core import errors, frequencies
from aiojobs_engine.core.job import CallOptions, TypeOptions
from aiojobs_engine.desks.cron import CronDesk
from aiojobs_engine.desks.dead import DeadDesk
from aiojobs_engine.desks.executions import ExecutionsDesk
from aiojobs_engine.desks.exports import ExportsDesk
from aiojobs_engine.desks.failures import FailuresDesk
from aiojobs_engine.desks.jobs import JobsDesk
from aiojobs_engine.desks.limits import LimitsDesk
from aiojobs_engine.desks.queues import QueuesDesk
from aiojobs_engine.desks.workers import TypesDesk, WorkersDesk
from aiojobs_engine.runtime.cron import CronOptions
from docs.pages import DOCS, table, write

API = DOCS / "reference" / "api.md"
ERRORS = DOCS / "reference" / "errors.md"

DESKS = {
    "engine.jobs": JobsDesk,
    "engine.queues": QueuesDesk,
    "engine.dead": DeadDesk,
    "engine.cron": CronDesk,
    "engine.executions": ExecutionsDesk,
    "engine.limits": LimitsDesk,
    "engine.failures": FailuresDesk,
    "engine.exports": ExportsDesk,
    "engine.workers": WorkersDesk,
    "engine.types": TypesDesk,
}
SHOWN = {
    "Engine": "engine",
    "ExportType": "exporter",
    "ImportType": "importer",
    "JobContext": "ctx",
    "JobHandle": "handle",
    "JobRegistry": "registry",
    "JobType": "job_type",
    "Secret": "secret",
    "ManualClock": "clock",
    "StatusMirror": "mirror",
    "TestEngine": "t",
}
INNER = {
    "Engine": {"entered_by_workers", "substituted", "wrapping_runs"},
    "ExportType": {
        "call_plain",
        "salvage_cursor",
        "has_key",
        "invoke",
        "lost_rows",
        "perform",
        "rows",
        "specs",
    },
    "ImportType": {"abandoned", "call_plain", "salvage_cursor", "invoke", "lost_rows", "perform", "prepared"},
    "JobContext": {
        "claim",
        "final_counters",
        "keep",
        "monotonic",
        "processed",
        "tell",
        "message",
        "port",
        "is_between_rows",
        "rows_kept",
        "takes_rows",
    },
    "JobRegistry": {"add"},
    "JobType": {"call_plain", "salvage_cursor", "invoke", "lost_rows", "perform"},
}
OPTIONS = {
    "name": "what the type is called; `module.function` without one",
    "kind": "`job` without; `sync`, `report` or a word of your own, for `[kinds]` and filters",
    "run_in": "`loop` for async functions; `thread` or `process` for plain ones",
    "label": "what people call it",
    "queue": "the queue",
    "priority": "higher runs first",
    "retry": "a `Retry`",
    "timeout": "what one run may take, or the time since the last checkpoint; 0 is without bound",
    "expires": "never started later than this",
    "delay": "not started before so long after the dispatch",
    "at": "not started before this instant; it excludes `delay`",
    "id": "the job's id; the same id twice is one job; only at the call",
    "after": "jobs that have to complete before this one starts: handles, jobs, ids, `Need`s; at the call",
    "user_id": "whose job it is, at most 200 characters",
    "tags": "names to find it by, at most 100",
    "meta": "JSON data beside the arguments, in `ctx.meta`",
    "result_ttl": "how long the result is kept",
    "max_crashes": "dead workers that a job may take with it",
    "concurrency": "how many run at once, in all workers: a number or a `Concurrency`; only in decorators",
    "rate_limit": "how many start in a time: like `100/minute`, or a `Rate`; only in decorators",
    "breaker": "a `Breaker`, or True: none start while its runs fail; only in decorators",
    "cost": "how much the job takes from rates, at least 1",
    "limit_key": "the key of limits by key, instead of that of its arguments",
    "fair_key": "for whom the job runs in a fair queue",
    "fair_weight": "how many turns that one has, 0.001 to 1,000",
    "unique": "a `Unique`, a key, or True for all arguments: one such job at a time",
}
CALL = {
    "chunk_size": "rows per call of the handler, 1 to 100,000",
    "mapping": "columns of the source to fields of the row type, like `{'E-mail': 'email'}`",
    "dry_run": "read and check every row, call no handler",
    "allow_duplicates": "handle rows too whose `key` came before in the source",
    "force_single": "run as one job, however many rows there are; all of them are in memory at once",
    "max_failures": "stop when more rows than these have failed",
    "max_failure_rate": "stop when a larger share than this, 0 to 1, of at least 100 rows has failed",
}
EXPORT = {
    "key": "the field, or fields, by which the rows are ordered: a run that was cut short goes on behind "
    "`ctx.cursor`",
    "parts": "an async function that names up to 500 parts; the handler finds each as `ctx.part`",
    "parallel": "how many parts are read at once, 4 without",
    "formulas": "columns whose text may be a formula; in all others it is made harmless in CSV and Excel",
    "format": "of files whose call names none, `csv` without",
    "delivery": "`download`, `link` or `both`, as in `[delivery]`",
    "keep": "`temporary` or `permanent`",
    "ttl": "how long a temporary file is kept: seconds, a `timedelta` or text like `2h`",
}
CRON = {
    "args": "the arguments of each fire, by name",
    "tz": "a name of the time zone database, `UTC` without",
    "jitter": "each fire is due up to so much later than its instant",
    "start": "it fires at no instant before this one",
    "end": "it fires at no instant after this one",
    "missed": "what becomes of fires that came to no scheduler in time: `one`, `skip` or `all`",
    "missed_within": "the age up to which missed fires are made up for; `all` needs it",
    "overlap": "while a job of an earlier fire has not ended: `skip`, `queue` or `cancel_running`",
    "environments": "it fires only in workers whose `worker.environment` is one of these",
}
GROUPS = {
    "cron": ["CronStatus", "CronRun"],
    "engine": [
        "Engine",
        *DESKS,
        "Explanation",
        "Reason",
        "Health",
        "load_settings",
        "StatusMirror",
        "sqlite_table",
    ],
    "dead": ["FailureGroup", "Replayed"],
    "logging": ["JobLogFilter"],
    "jobs": [
        "JobRegistry",
        "JobType",
        "ImportType",
        "ExportType",
        "Job",
        "JobContext",
        "Secret",
        "current_job",
    ],
    "handles": [
        "JobHandle",
        "Listing",
        "Page",
        "JobStatus",
        "Status",
        "ErrorInfo",
        "JobFailure",
        "ExecutionRecord",
        "ImportReport",
        "ExportedFile",
    ],
    "notify": ["Webhook", "Email", "Call", "verify_webhook"],
    "flows": ["Batch", "BatchHandle", "group", "Need", "When"],
    "outbox": ["Outbox"],
    "flow": ["Unique", "Concurrency", "Rate", "LimitStatus", "Breaker", "Singleton"],
    "retries": ["Retry", "Requeue", "GiveUp"],
    "testing": list(testing.__all__),
}
CONSTRUCTED = {
    "Engine",
    "StatusMirror",
    "JobRegistry",
    "ManualClock",
    "Secret",
    "TestEngine",
    "Snooze",
    "Discard",
    "RetryLater",
}
SIGNALS = ["Snooze", "Discard", "RetryLater"]

_PACKAGE = "aiojobs_engine"
_WIDTH = 100
_HEADS = ("Args:", "Raises:", "Attributes:")
_ITEM = re.compile(r"^ {4}(\S[^:]*): (.*)$")


def api() -> dict[str, str]:
    """The generated parts of the page of names."""
    found = {group: "\n\n".join(_entry(name) for name in names) for group, names in GROUPS.items()}
    found |= {"options": _options(OPTIONS, TypeOptions, CallOptions), "call": _options(CALL, ImportArguments)}
    found["exporter-options"] = _options(EXPORT, _own_options(ExporterOptions, EXPORT))
    found |= {"frequencies": _frequencies(), "cron-options": _options(CRON, _own_options(CronOptions, CRON))}
    return found | {"events": _events(), "signals": "\n\n".join(_entry(name) for name in SIGNALS)}


def error_parts() -> dict[str, str]:
    """The generated parts of the page of errors."""
    return {"errors": "\n".join(_tree(errors.EngineError, 0))}


def documented() -> set[str]:
    """The public names that the two pages have a place for."""
    grouped = {name for names in GROUPS.values() for name in names}
    events = {"JobEvent", "status_updated", *_event_names()}
    return (
        grouped
        | events
        | {"frequencies", *SIGNALS, "EngineError"}
        | {kind.__name__ for kind in _below(errors.EngineError)}
    )


def _own_options(kind: Any, meanings: Mapping[str, str]) -> Any:
    """What a decorator takes beside the options of a job."""
    own = {name: hint for name, hint in kind.__annotations__.items() if name in meanings}
    return SimpleNamespace(__annotations__=own)


def _frequencies() -> str:
    made = [
        fn for name, fn in vars(frequencies).items() if inspect.isfunction(fn) and not name.startswith("_")
    ]
    own = [fn for fn in made if fn.__module__ == frequencies.__name__]
    return "\n\n".join(f"#### frequencies.{fn.__name__}\n\n{_callable(fn)}" for fn in own)


def _options(meanings: Mapping[str, str], *kinds: Any) -> str:
    annotations = {name: hint for kind in kinds for name, hint in kind.__annotations__.items()}
    hints = {name: getattr(hint, "__forward_arg__", hint) for name, hint in annotations.items()}
    rows = [[f"`{name}`", f"`{hints.pop(name)}`", meaning] for name, meaning in meanings.items()]
    if hints:
        raise ValueError(f"nothing says what these options mean: {', '.join(hints)}")
    return table(["option", "value", "meaning"], rows)


def _entry(name: str) -> str:
    found: Any = DESKS.get(name) or getattr(aiojobs_engine, name, None) or getattr(testing, name)
    if not isinstance(found, type):
        return f"### {name}\n\n{_callable(found)}"
    parts = [f"### {name}", described(found)]
    if name in CONSTRUCTED:
        parts.append(_callable(inspect.getattr_static(found, "__init__"), name))
    if issubclass(found, msgspec.Struct):
        parts.append(_fields(found))
    shown = SHOWN.get(name, name)
    parts += [f"#### {shown}.{member}\n\n{text}" for member, text in _members(cast("type[Any]", found))]
    return "\n\n".join(part for part in parts if part)


def _members(kind: type[Any]) -> Iterator[tuple[str, str]]:
    seen, inner = set[str](), INNER.get(kind.__name__, set())
    for owner in kind.__mro__:
        if not owner.__module__.startswith(_PACKAGE):
            continue
        for name, member in vars(owner).items():
            if name.startswith("_") or name in seen or name in inner or not _is_member(member):
                continue
            seen.add(name)
            getter = getattr(member, "fget", None) or getattr(member, "func", None)
            yield name, _callable(member) if getter is None else _attribute(getter, name)


def _is_member(member: object) -> bool:
    kinds = (property, cached_property, classmethod, staticmethod)
    return isinstance(member, kinds) or inspect.isfunction(member)


def _callable(fn: Any, name: str = "") -> str:
    fn = inspect.unwrap(getattr(fn, "__func__", fn))
    signatures = "\n".join(_signature(each, name) for each in (get_overloads(fn) or [fn]))
    return f"```py\n{signatures}\n```\n\n{described(fn)}"


def _signature(fn: Any, name: str) -> str:
    node = _definition(fn)
    returns = f" -> {_hint(node.returns)}" if node.returns and not name else ""
    word = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    arguments = [each for each in _arguments(node.args) if each not in ("self", "cls")]
    line = f"{word}{name or node.name}({', '.join(arguments)}){returns}"
    if len(line) <= _WIDTH:
        return line
    inside = "".join(f"    {argument},\n" for argument in arguments)
    return f"{word}{name or node.name}(\n{inside}){returns}"


def _attribute(fn: Any, name: str) -> str:
    returns = _definition(fn).returns
    hint = f": {_hint(returns)}" if returns else ""
    return f"```py\n{name}{hint}\n```\n\n{described(fn)}"


def _definition(fn: Any) -> ast.FunctionDef | ast.AsyncFunctionDef:
    node = ast.parse(textwrap.dedent(inspect.getsource(fn))).body[0]
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        raise TypeError(f"{fn!r} is no function")
    return node


def _arguments(given: ast.arguments) -> Iterator[str]:
    positional = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
    for count, (argument, default) in enumerate(zip(positional, defaults, strict=True), 1):
        yield _argument(argument, default)
        if count == len(given.posonlyargs):
            yield "/"
    if given.vararg is not None:
        yield f"*{_argument(given.vararg, None)}"
    elif given.kwonlyargs:
        yield "*"
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _argument(argument, default)
    if given.kwarg is not None:
        yield f"**{_argument(given.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    hint = f": {_hint(argument.annotation)}" if argument.annotation else ""
    if default is None:
        return argument.arg + hint
    return (
        f"{argument.arg}{hint} = {ast.unparse(default)}" if hint else f"{argument.arg}={ast.unparse(default)}"
    )


def _hint(annotation: ast.expr) -> str:
    match annotation:
        case ast.Constant(value=str(quoted)):
            return quoted
        case _:
            return ast.unparse(annotation)


def _fields(kind: type[msgspec.Struct]) -> str:
    hints = {name: hint for owner in reversed(kind.__mro__) for name, hint in _annotations(owner).items()}
    return "\n".join(["```py", *(f"{name}: {hints[name]}" for name in kind.__struct_fields__), "```"])


def _annotations(kind: type) -> dict[str, str]:
    return {
        name: hint if isinstance(hint, str) else inspect.formatannotation(hint).replace("datetime.", "")
        for name, hint in vars(kind).get("__annotations__", {}).items()
    }


def described(documented: object) -> str:
    """A docstring as Markdown: its sections become lists."""
    lines: list[str] = []
    in_section = False
    for line in inspect.cleandoc(getattr(documented, "__doc__", None) or "").splitlines():
        item = _ITEM.match(line)
        if line in _HEADS:
            in_section = True
            lines += [f"{line.removesuffix(':')}:", ""]
        elif in_section and item is not None:
            names = ", ".join(f"`{name}`" for name in item[1].split(", "))
            lines.append(f"- {names}: {item[2]}")
        elif in_section and line.startswith("    "):
            lines.append(f"  {line.strip()}")
        else:
            in_section = in_section and not line
            lines.append(line)
    return "\n".join(lines)


def _events() -> str:
    lines = [_fields(aiojobs_engine.JobEvent), ""]
    shared = set(aiojobs_engine.JobEvent.__struct_fields__)
    for name in _event_names():
        kind: type[msgspec.Struct] = getattr(aiojobs_engine, name)
        own = [f"`{field}`" for field in kind.__struct_fields__ if field not in shared]
        lines.append(f"- `{name}`: {described(kind)}" + (f" Its own: {', '.join(own)}." if own else ""))
    return "\n".join([*lines, "", _entry("status_updated")])


def _event_names() -> list[str]:
    return [kind.__name__ for kind in _below(aiojobs_engine.JobEvent)]


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        if getattr(aiojobs_engine, each.__name__, None) is each:
            yield each
        yield from _below(each)


def _tree(kind: type[Any], depth: int) -> Iterator[str]:
    if getattr(aiojobs_engine, kind.__name__, None) is not kind:
        return
    first = described(kind).split("\n\n")[0].replace("\n", " ")
    yield f"{'  ' * depth}- `{kind.__name__}`: {first}"
    for each in kind.__subclasses__():
        yield from _tree(each, depth + 1)


if __name__ == "__main__":
    write(API, api())
    write(ERRORS, error_parts())
