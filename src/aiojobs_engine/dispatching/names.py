"""Jobs of types whose code is elsewhere, known by name and by what their workers published."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Unpack, cast

import msgspec

from aiojobs_engine.core.codec import checked_depth, encode_json, unstorable
from aiojobs_engine.core.errors import ConfigError, PayloadError, did_you_mean
from aiojobs_engine.core.job import CALL_OPTIONS, CallOptions, Job, checked_options
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.ports.control import TypeRecord


class NamedType:
    """A job type by its name alone: `engine.named("app.send_welcome").options(delay=60).job(account_id=42)`.

    Attributes:
        name: what a worker registered.
    """

    __slots__ = ("_ids", "_options", "name")

    def __init__(self, name: str, ids: Callable[[], str], options: Mapping[str, Any] | None = None) -> None:
        """Make jobs with ids from `ids`.

        Raises:
            ConfigError: no job type can have this name.
        """
        self.name = checked_name(name, "the name of a job type")
        self._ids = ids
        self._options: Mapping[str, Any] = options or {}

    def options(self, **options: Unpack[CallOptions]) -> NamedType:
        """The same type with options for one call; they win over all others.

        Raises:
            ConfigError: an option is unknown or out of range.
        """
        given = cast("Mapping[str, Any]", options)
        checked = checked_options(given, CALL_OPTIONS, f"{self.name}.options")
        return NamedType(self.name, self._ids, {**self._options, **checked})

    def job(self, /, **arguments: Any) -> Job[Any]:
        """A job with these arguments; a dispatch checks their names, the worker their types.

        Raises:
            PayloadError: an argument can't be JSON, or would arrive changed; it names which.
        """
        try:
            encoded = encode_json(arguments, self.name)
        except PayloadError as error:
            raise unstorable(arguments, self.name) or error from error
        arrived = msgspec.json.decode(encoded, type=dict[str, Any])
        for name, value in arguments.items():
            if arrived[name] != value:
                raise PayloadError(
                    f"{self.name}: argument {name!r} would arrive as {arrived[name]!r:.80} instead of "
                    f"{value!r:.80}; where the handler's code is absent, pass plain JSON data",
                    argument=name,
                )
        return self.job_from_json(encoded)

    def job_from_json(self, encoded: bytes) -> Job[Any]:
        """A job whose arguments are a JSON object already."""
        made = self._options.get("id") or self._ids()
        return Job(id=made, type=self.name, kind="job", payload=encoded, options=self._options)


def checked_payload(job: Job[Any], record: TypeRecord | None) -> None:
    """Nothing, when the payload is a JSON object whose names fit what the type's workers published.

    Raises:
        PayloadError: it is not; the error names the argument.
    """
    checked_depth(job.payload, job.type)
    try:
        given = msgspec.json.decode(job.payload, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(f"{job.type}: the arguments must be a JSON object: {error}") from error
    if record is None:
        return
    names, required = argument_names(record.schema)
    if names is None:
        return
    for name in given:
        if name not in names:
            hint = did_you_mean(name, names) or f"; it takes {', '.join(names) or 'no arguments'}"
            raise PayloadError(f"{job.type} has no argument {name!r}{hint}", argument=name)
    for name in required:
        if name not in given:
            raise PayloadError(f"{job.type}: argument {name!r} is missing", argument=name)


def argument_names(schema: Mapping[str, Any]) -> tuple[Collection[str] | None, Collection[str]]:
    """All argument names of a published schema, and the required ones; None when the schema doesn't say."""
    described = schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        described = schema.get("$defs", {}).get(reference.rsplit("/", 1)[-1], {})
    properties = described.get("properties")
    if not isinstance(properties, Mapping):
        return None, ()
    return tuple(cast("Mapping[str, Any]", properties)), tuple(described.get("required", ()))


def parted_queue(
    arguments: dict[str, Any], names: Collection[str] | None
) -> tuple[dict[str, Any], str | None]:
    """The arguments of a dispatch by name, and `queue=` apart, unless the type has an argument named so.

    Raises:
        ConfigError: the queue is no name.
    """
    if "queue" not in arguments or (names is not None and "queue" in names):
        return arguments, None
    queue = arguments["queue"]
    if not isinstance(queue, str):
        raise ConfigError(f"queue must be a string, got {queue!r:.80}")
    return {name: value for name, value in arguments.items() if name != "queue"}, checked_name(
        queue, "a queue"
    )
