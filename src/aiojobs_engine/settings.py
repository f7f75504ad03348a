"""Settings: code over environment over file over default."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import msgspec

from aiojobs_engine.core.config import Settings, seconds_of
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.limiting import Rate, checked_rate_limit
from aiojobs_engine.core.retry import Retry, RetrySpec

FILE = "aiojobs.toml"
PYPROJECT = "pyproject.toml"
TABLE = "aiojobs_engine"
PREFIX = "AIOJOBS_"

_CONFIG = "CONFIG"
_DEEPER = "__"
_MISSPELT = re.compile(rf"""^\[tool\.(?!{TABLE}[\].])(["']?aiojobs[^\].]*)""", re.MULTILINE | re.IGNORECASE)

Tree = dict[str, Any]


def load_settings(
    path: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | Settings | None = None,
) -> Settings:
    """The settings of this process.

    Args:
        path: a TOML file; without one `AIOJOBS_CONFIG` names it, else it is `aiojobs.toml` or the table
            `[tool.aiojobs_engine]` of `pyproject.toml` in the working directory, when there.
        environ: the process's environment by default; empty values count as absent.
        overrides: settings that code gives, as sections by name, or whole.

    Raises:
        ConfigError: a file is missing or no TOML; or a key or value is wrong: the error names the file or
            variable, the key and the nearest right one.
    """
    environ = os.environ if environ is None else environ
    if isinstance(overrides, Settings):
        return _checked(overrides)
    merged: Tree = {}
    file = _file(path, environ)
    if file is not None:
        _merge(merged, _section(file[1], Settings, "", file[0], is_text=False))
    for name, value in _variables(environ):
        _merge(merged, _variable(name, value))
    if overrides is not None:
        _merge(merged, _section(overrides, Settings, "", "config=", is_text=False))
    return msgspec.convert(merged, Settings)


def _checked(settings: Settings) -> Settings:
    plain = msgspec.to_builtins(settings)
    return msgspec.convert(_section(plain, Settings, "", "config=", is_text=False), Settings)


def _file(
    path: str | os.PathLike[str] | None, environ: Mapping[str, str]
) -> tuple[str, Mapping[str, Any]] | None:
    named = path or environ.get(PREFIX + _CONFIG)
    if named:
        found = Path(named)
        if not found.is_file():
            raise ConfigError(f"there is no configuration file {str(found)!r}")
        return str(found), _table_of(found)
    if Path(FILE).is_file():
        return FILE, _table_of(Path(FILE))
    project = Path(PYPROJECT)
    if not project.is_file():
        return None
    text = project.read_text(encoding="utf-8", errors="replace")
    misspelt = _MISSPELT.search(text)
    if misspelt is not None:
        raise ConfigError(f"{PYPROJECT}: [tool.{misspelt[1]}] is not read; the table is [tool.{TABLE}]")
    return (PYPROJECT, _table_of(project)) if TABLE in text else None


def _table_of(file: Path) -> Mapping[str, Any]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} can't be read: {error}") from error
    if file.name != PYPROJECT:
        return content
    table = content.get("tool", {}).get(TABLE, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: tool.{TABLE} must be a table, got {table!r:.80}")
    return cast("Tree", table)


def _section(given: object, kind: type[msgspec.Struct], place: str, source: str, *, is_text: bool) -> Tree:
    """The keys of one section in their typed form, as plain data."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{source}: {place or 'the configuration'} is a section, got {given!r:.80}")
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    typed: Tree = {}
    for key, value in cast("Mapping[str, Any]", given).items():
        where = f"{place}.{key}" if place else str(key)
        if key not in fields:
            raise ConfigError(f"{source}: there is no setting {where!r}{_nearest(place, key, fields)}")
        typed[key] = _value(value, fields[key], where, source, is_text=is_text)
    return typed


def _value(value: Any, hint: Any, where: str, source: str, *, is_text: bool) -> Any:
    if (section := _section_of(hint)) is not None and _is_for_section(value, hint):
        typed = _section(value, section, where, source, is_text=is_text)
        return _policy(typed, where, source) if section is RetrySpec else typed
    if (entry := _entry_of(hint)) is not None:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{source}: {where} is a table of sections by name, got {value!r:.80}")
        entries = cast("Mapping[str, Any]", value)
        return {
            name: _section(inner, entry, f"{where}.{name}", source, is_text=is_text)
            for name, inner in entries.items()
        }
    try:
        plain = (
            seconds_of(value)
            if isinstance(value, str) and _is_duration(hint) and not _is_number(value)
            else value
        )
        typed = msgspec.convert(plain, hint, strict=not is_text)
        if Rate in _options(hint):
            checked_rate_limit(typed, "it")
    except (msgspec.ValidationError, ConfigError) as error:
        reason = _said(error) + _choice(value, hint)
        raise ConfigError(f"{source}: {where} = {value!r:.80} is wrong: {reason}") from error
    return msgspec.to_builtins(typed)


def _is_for_section(value: Any, hint: Any) -> bool:
    """Whether a value is meant as a section: where something shorter will do too, only a table is."""
    has_short_form = any(option in (int, str) for option in _options(hint))
    return isinstance(value, Mapping) if has_short_form else value is not None


def _policy(typed: Tree, where: str, source: str) -> Tree:
    try:
        Retry(msgspec.convert(typed, RetrySpec))
    except ConfigError as error:
        raise ConfigError(f"{source}: {where} is wrong: {error}") from error
    return typed


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    sections = {field.name for field in msgspec.structs.fields(Settings)}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or not environ[name]:
            continue
        key = name.removeprefix(PREFIX)
        if _DEEPER in key or key.lower() in sections:
            yield name, environ[name]
        elif key != _CONFIG and (hint := did_you_mean(key, {_CONFIG, "URL", "APP"})):
            raise ConfigError(
                f"environment: there is no variable {name!r}{hint.replace(chr(39), chr(39) + PREFIX, 1)}"
            )


def _variable(name: str, text: str) -> Tree:
    """The tree with the one setting that an environment variable sets."""
    source = f"environment variable {name}"
    parts = name.removeprefix(PREFIX).split(_DEEPER)
    hint: Any = Settings
    path: list[str] = []
    for part in parts:
        entry = _entry_of(hint)
        if entry is not None:
            path.append(part if part != part.upper() else part.lower())
            hint = entry
            continue
        section = _section_of(hint)
        fields = {field.name: field.type for field in msgspec.structs.fields(section)} if section else {}
        key = part.lower()
        if key not in fields:
            where = ".".join([*path, key])
            raise ConfigError(
                f"{source}: there is no setting {where!r}{_nearest('.'.join(path), key, fields)}"
            )
        path.append(key)
        hint = fields[key]
    value = _value(_parsed(text, hint, source), hint, ".".join(path), source, is_text=True)
    for key in reversed(path):
        value = {key: value}
    return cast("Tree", value)


def _parsed(text: str, hint: Any, source: str) -> Any:
    if _section_of(hint) is None and _entry_of(hint) is None and not _is_structured(hint):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{source} must be JSON: {error}") from error


def _merge(into: Tree, more: Tree) -> None:
    for key, value in more.items():
        inner = into.get(key)
        if isinstance(inner, dict) and isinstance(value, dict) and key != "meta":
            _merge(cast("Tree", inner), cast("Tree", value))
        else:
            into[key] = value


def _nearest(place: str, key: object, fields: Mapping[str, Any]) -> str:
    known = ", ".join(fields) or "no settings of its own"
    return did_you_mean(str(key), fields) or f"; {place or 'the configuration'} has {known}"


def _choice(value: object, hint: Any) -> str:
    """Which words may stand there, or the nearest; nothing where any may."""
    words = [
        str(word) for option in _options(hint) if get_origin(option) is Literal for word in get_args(option)
    ]
    return (did_you_mean(str(value), words) or f"; it is one of {', '.join(words)}") if words else ""


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _section_of(hint: Any) -> type[msgspec.Struct] | None:
    for option in _options(hint):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return option
    return None


def _entry_of(hint: Any) -> type[msgspec.Struct] | None:
    if get_origin(hint) is dict:
        return _section_of(get_args(hint)[1])
    return None


def _is_structured(hint: Any) -> bool:
    return any(get_origin(option) in (list, tuple, dict) for option in _options(hint))


def _is_duration(hint: Any) -> bool:
    return any(
        get_origin(option) is Annotated
        and any(getattr(meta, "title", None) == "seconds" for meta in get_args(option))
        for option in _options(hint)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _said(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]
