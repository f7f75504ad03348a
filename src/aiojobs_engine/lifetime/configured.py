"""Job types that the configuration declares by `[jobs.NAME] handler`: imported and checked at start."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, cast, get_origin

import msgspec

from aiojobs_engine.bulk.registry import JobRegistry, exporter, importer
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.job import check_keys
from aiojobs_engine.core.job_settings import DECLARING, JobSettings
from aiojobs_engine.core.options import KINDS, resolve
from aiojobs_engine.runtime.registry import JobType
from aiojobs_engine.target import located

_EVERY = ("handler", "kind")
_OF_KIND = {
    "import": ("row", "key", "format", "encoding", "delimiter", "header", "sheet"),
    "export": ("columns", "key", "formulas", "parts", "parallel", "spread", "format"),
}
_NEEDED = {
    "import": ("row", "the module:attribute of its row type"),
    "export": ("columns", "the fields of a row to export"),
}


def declare(registry: JobRegistry, settings: Settings) -> None:
    """Register the types that `settings` declare, all or none; those that are there already stay.

    Raises:
        ConfigError: a path leads nowhere, a type can't be so, or its name is taken; it names the key.
    """
    made = JobRegistry()
    made.ids = registry.ids
    kinds = {*settings.kinds, *(job_type.kind for job_type in registry.types.values())}
    for name, section in settings.jobs.items():
        if section.handler is None:
            _check_options_alone(name, section)
        elif registry.configured.get(name) != section:
            _check_name(registry, name)
            _check_kind(name, section, kinds)
            _declare(made, name, section)
    for job_type in (*registry.types.values(), *made.types.values()):
        _check_levels(job_type, settings)
    registry.include(made)
    registry.configured |= {name: settings.jobs[name] for name in made.types}


def undeclared(settings: Settings) -> Settings:
    """The settings without the types that they declare, for programs that run and make no jobs."""
    nothing: dict[str, Any] = dict.fromkeys(DECLARING)
    jobs = {name: msgspec.structs.replace(section, **nothing) for name, section in settings.jobs.items()}
    return msgspec.structs.replace(settings, jobs=jobs)


def _check_options_alone(name: str, section: JobSettings) -> None:
    for key in _given(section, DECLARING):
        raise ConfigError(f"jobs.{name}.{key} declares a type, which needs jobs.{name}.handler")


def _check_name(registry: JobRegistry, name: str) -> None:
    taken = registry.types.get(name)
    if taken is not None:
        raise ConfigError(
            f"jobs.{name}.handler declares a type that the code registers too, as "
            f"{taken.fn.__module__}.{taken.fn.__qualname__}; leave one of them out"
        )


def _check_kind(name: str, section: JobSettings, own: Iterable[str]) -> None:
    kind = section.kind or "job"
    if kind not in {*KINDS, *own} and (hint := did_you_mean(kind, KINDS)):
        raise ConfigError(
            f"jobs.{name}.kind = {kind!r} is no kind of jobs{hint} A kind of your own needs [kinds.{kind}]"
        )
    known = _OF_KIND.get(kind, ())
    for key in _given(section, DECLARING):
        if key not in _EVERY and key not in known:
            kinds = " or ".join(repr(each) for each, keys in _OF_KIND.items() if key in keys)
            raise ConfigError(f"jobs.{name}.{key} is for kind = {kinds}, and this is a type of kind {kind!r}")
    if kind in _NEEDED and getattr(section, _NEEDED[kind][0]) is None:
        key, what = _NEEDED[kind]
        raise ConfigError(f"jobs.{name} needs {key}: {what}")


def _declare(made: JobRegistry, name: str, section: JobSettings) -> None:
    fn = _handler(f"jobs.{name}.handler", section)
    kind = section.kind or "job"
    given = {key: getattr(section, key) for key in _given(section, _OF_KIND.get(kind, ()))}
    row = columns = None
    if kind == "import":
        row = _row(f"jobs.{name}.row", given.pop("row"))
        if not isinstance(given.get("key", ""), str):
            raise ConfigError(f"jobs.{name}.key is one field of an importer's rows, got {given['key']!r:.80}")
    elif kind == "export":
        columns = given.pop("columns")
        if "parts" in given:
            given["parts"] = _found(f"jobs.{name}.parts", given["parts"])
    try:
        if row is not None:
            importer(made, name, row=row, **given)(fn)
        elif columns is not None:
            exporter(made, name, columns=columns, **given)(fn)
        else:
            made.job(name=name, kind=kind)(fn)
        if section.run_in is not None:
            made.get(name).place(section.run_in)
    except ConfigError as error:
        raise ConfigError(f"[jobs.{name}]: {error}") from error


def _handler(place: str, section: JobSettings) -> Callable[..., Any]:
    path = cast("str", section.handler)
    found = _found(place, path)
    if isinstance(found, JobType):
        raise ConfigError(f"{place} = {path!r} is a job type of the code, which needs no handler here")
    if not inspect.isclass(found):
        if inspect.isroutine(found):
            return found
        raise ConfigError(f"{place} = {path!r} is neither a function nor a class, but {type(found).__name__}")
    if section.run_in == "process":
        raise ConfigError(f"{place} = {path!r} is a class, and run_in = 'process' takes functions only")
    if not inspect.isfunction(inspect.getattr_static(found, "__call__", None)):
        raise ConfigError(f"{place} = {path!r} is a class whose objects can't be called; define __call__")
    try:
        made: Any = found()
    except Exception as error:
        raise ConfigError(
            f"{place} = {path!r} was called without arguments and raised {type(error).__name__}: {error}"
        ) from error
    return cast("Callable[..., Any]", made.__call__)


def _row(place: str, path: str) -> type[Any]:
    found = _found(place, path)
    if not inspect.isclass(found) and get_origin(found) is not dict:
        raise ConfigError(f"{place} = {path!r} is no type, but {type(found).__name__}")
    return cast("type[Any]", found)


def _found(place: str, path: str) -> Any:
    try:
        return located(path)
    except ConfigError as error:
        raise ConfigError(f"{place} = {path!r} can't be used: {error}") from error


def _check_levels(job_type: JobType[..., Any], settings: Settings) -> None:
    """Nothing, when the arguments exist that options of the configuration speak of."""
    if job_type.name in settings.jobs or job_type.kind in settings.kinds:
        options = resolve(job_type.name, job_type.kind, job_type.decorated, settings)
        check_keys(options.extra, job_type.arguments.names, f"{job_type.name!r}, as it is configured")


def _given(section: JobSettings, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if getattr(section, key) is not None]
