"""Arguments and results as JSON, validated by the handler's annotations.

One rule for everything: what arrives equals what was sent, or the dispatch is refused. Numbers that JSON
can't hold (NaN, infinity, integers of more than 4,300 digits), lone surrogates, keys that are no strings
where no annotation says otherwise, tuples where a list would come back: each is a `PayloadError` at the edge.
Of a key that JSON text holds twice the last one counts.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from sys import maxsize
from typing import Any, NamedTuple, Protocol, cast, get_origin, get_type_hints

import msgspec

from aiojobs_engine.core.errors import ConfigError, PayloadError, PayloadTooLarge, did_you_mean
from aiojobs_engine.core.limits import DEPTH
from aiojobs_engine.core.secret import is_secret, is_secret_type, sealed, unsealed

_PLACE = re.compile(r"at `\$\.([A-Za-z_]\w*)")
_QUOTED = re.compile(r"[`']([A-Za-z_]\w*)[`']")
_NO_ARGUMENTS = b"{}"


class _Model(Protocol):
    """The part of a pydantic model that the codec uses."""

    def model_dump(self, *, mode: str) -> object:
        """The model as plain data."""
        ...


def _encode_other(value: object) -> object:
    if is_secret(value):
        return sealed(value)
    if hasattr(value, "model_dump"):
        return cast("_Model", value).model_dump(mode="json")
    raise TypeError(f"{type(value).__qualname__} is no JSON data; pass a struct, a dataclass or plain values")


def _decode_other(kind: type[Any], value: object) -> object:
    if is_secret_type(kind):
        return unsealed(kind, value)
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    if isinstance(value, get_origin(kind) or kind):
        return value
    raise TypeError(f"{getattr(kind, '__qualname__', kind)} can't be made from JSON data")


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)


class ArgumentCodec:
    """Encodes, checks and decodes the arguments of one handler.

    Attributes:
        names: the parameters, in order, without the context.
    """

    def __init__(self, parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any], owner: str) -> None:
        """Compile the parameters.

        Raises:
            ConfigError: `owner` takes `*args` or `**kwargs`, positional-only parameters, or annotations that
                can't be JSON.
        """
        self.names = tuple(parameter.name for parameter in parameters)
        self._owner = owner
        self._positional = sum(
            parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters
        )
        self._struct = _compiled(parameters, hints, owner)
        try:
            self._decoder = msgspec.json.Decoder(self._struct, dec_hook=_decode_other)
        except TypeError as error:
            raise ConfigError(f"{owner} has an annotation that JSON can't hold: {error}") from error
        self._takes_none = not parameters

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of one call as a JSON object.

        Raises:
            PayloadError: an argument is missing, unknown, of the wrong type or can't be JSON; it names which.
        """
        if self._takes_none and not args and not kwargs:
            return _NO_ARGUMENTS
        if len(args) > self._positional:
            raise PayloadError(
                f"{self._owner} takes {self._positional} positional arguments, got {len(args)}"
            )
        try:
            given = self._struct(*args, **kwargs)
        except TypeError as error:
            raise self._unfit(error) from error
        try:
            encoded = encode_json(given, self._owner)
        except PayloadError as error:
            raise unstorable(msgspec.structs.asdict(given), self._owner) or error from error
        try:
            arrived = self._decoded(encoded)
        except PayloadError as error:
            raise self._odd_number(given) or error from error
        if _is_changed(given, arrived, self._owner):
            raise self._odd_number(given) or self._changed(given, arrived)
        return encoded

    def check(self, encoded: bytes) -> bytes:
        """Arguments that are JSON already (from a command line or another language), validated.

        Raises:
            PayloadError: they don't fit the handler.
        """
        checked_depth(encoded, self._owner)
        return encode_json(self._decoded(encoded), self._owner)

    def decode(self, encoded: bytes | msgspec.Raw) -> tuple[Any, ...]:
        """The values in the order of `names`, defaults filled in.

        Raises:
            PayloadError: they don't fit the handler as it is now.
        """
        if self._takes_none:
            return ()
        return msgspec.structs.astuple(self._decoded(encoded))

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the arguments object."""
        try:
            return msgspec.json.schema(self._struct, schema_hook=_schema_other)
        except TypeError:
            return {"type": "object", "properties": {name: {} for name in self.names}}

    def _decoded(self, encoded: bytes | msgspec.Raw) -> msgspec.Struct:
        try:
            return self._decoder.decode(encoded)
        except Exception as error:  # a class of the user may raise anything
            raise self._unfit(error) from error

    def _unfit(self, error: Exception) -> PayloadError:
        text = str(error)
        found = _PLACE.search(text) or _QUOTED.search(text)
        argument = found.group(1) if found else None
        hint = ""
        if argument and argument not in self.names:
            hint = (
                did_you_mean(argument, self.names) or f"; it takes {', '.join(self.names) or 'no arguments'}"
            )
        return PayloadError(f"{self._owner}: {text}{hint}", argument=argument)

    def _odd_number(self, given: msgspec.Struct) -> PayloadError | None:
        for name in self.names:
            number = _not_finite(getattr(given, name))
            if number is not None:
                return PayloadError(
                    f"{self._owner}: argument {name!r} holds {number!r}, and JSON has no such number; "
                    "pass None or a string",
                    argument=name,
                )
        return None

    def _changed(self, given: msgspec.Struct, arrived: msgspec.Struct) -> PayloadError:
        for name in self.names:
            before, after = getattr(given, name), getattr(arrived, name)
            if _is_changed(before, after, self._owner):
                return PayloadError(
                    f"{self._owner}: argument {name!r} would arrive changed, as {after!r:.80} instead of "
                    f"{before!r:.80}; annotate the parameter with its type or pass plain JSON data",
                    argument=name,
                )
        return PayloadError(f"{self._owner}: an argument would arrive changed")


class RefusedResult:
    """Stands in for a result that another process could not encode: encoding it fails with its message."""

    def __init__(self, message: str) -> None:
        """Keep the message."""
        self._message = message

    def model_dump(self, *, mode: str) -> object:
        """Fail, in the place where the codec asks an object of a foreign class for its data."""
        del mode
        raise TypeError(self._message)


class CarriedResult(NamedTuple):
    """A result on its way from another process: encoded, or why it can't be."""

    encoded: bytes | None
    refused: str | None = None


class ResultCodec:
    """Encodes and decodes what one handler returns."""

    def __init__(self, annotation: object) -> None:
        """Use the return annotation; plain JSON data where it has none or JSON can't hold it."""
        self._decoder = _result_decoder(annotation)

    def encode(self, result: object, limit: int) -> bytes | None:
        """JSON, None for None.

        Raises:
            PayloadError: the result can't be stored, or not so that it comes back equal.
        """
        if result is None:
            return None
        encoded = encode_json(result, "the result")
        if len(encoded) > limit:
            raise PayloadTooLarge(f"the result takes {len(encoded):,} bytes, the limit is {limit:,}")
        if _is_changed(result, self.decode(encoded), "the result"):
            raise PayloadError(
                "the result would come back changed; return plain JSON data or annotate the return type"
            )
        return encoded

    def carry(self, result: object) -> CarriedResult:
        """`result` in the form in which it travels between processes, whatever it is and of any size."""
        try:
            return CarriedResult(self.encode(result, maxsize))
        except PayloadError as error:
            return CarriedResult(None, str(error).removeprefix("the result").removeprefix(":").strip())

    def arrived(self, carried: CarriedResult) -> Any:
        """The handler's own type again, or a `RefusedResult`."""
        return self.decode(carried.encoded) if carried.refused is None else RefusedResult(carried.refused)

    def decode(self, encoded: bytes | None) -> Any:
        """The handler's own type again.

        Raises:
            PayloadError: a stored result doesn't fit the annotation any more.
        """
        if encoded is None:
            return None
        try:
            return self._decoder.decode(encoded)
        except Exception as error:  # a class of the user may raise anything
            raise PayloadError(f"the result doesn't fit its annotation: {error}") from error


def encode_json(value: object, owner: str, levels: int = DEPTH) -> bytes:
    """`value` as JSON, at most `levels` deep.

    Raises:
        PayloadError: JSON can't hold it.
    """
    try:
        encoded = _encoder.encode(value)
    except RecursionError as error:
        raise _too_deep(owner) from error
    except Exception as error:  # a class of the user may raise anything
        raise PayloadError(f"{owner}: {str(error) or type(error).__name__}") from error
    checked_depth(encoded, owner, levels)
    return encoded


def unstorable(arguments: Mapping[str, object], owner: str) -> PayloadError | None:
    """Why JSON can't hold these arguments, naming the first at fault; None when none is by itself."""
    for name, value in arguments.items():
        try:
            encode_json(value, f"{owner}: argument {name!r}", levels=DEPTH - 1)
        except PayloadError as error:
            error.argument = name
            return error
    return None


def encode_plain(value: object, owner: str, limit: int) -> bytes:
    """Plain JSON data as JSON, at most 64 levels deep.

    Raises:
        PayloadError: it is something else, so that it would not come back equal.
        PayloadTooLarge: more than `limit` bytes.
    """
    encoded = encode_json(value, owner)
    if len(encoded) > limit:
        raise PayloadTooLarge(
            f"{owner} takes {len(encoded):,} bytes, the limit is {limit:,}; store the data elsewhere"
        )
    if _is_changed(value, msgspec.json.decode(encoded), owner):
        raise PayloadError(f"{owner} would come back changed; give plain JSON data, not {value!r:.80}")
    return encoded


def _is_changed(before: object, after: object, owner: str) -> bool:
    try:
        return bool(before != after)
    except Exception as error:  # the same
        raise PayloadError(f"{owner}: what arrives can't be compared with what was sent: {error}") from error


def _not_finite(value: object) -> float | None:
    """The first NaN or infinity inside of `value`, None without one."""
    left: list[object] = [msgspec.to_builtins(value, enc_hook=_encode_other, str_keys=True)]
    while left:
        found = left.pop()
        if isinstance(found, float) and not isfinite(found):
            return found
        if isinstance(found, dict):
            left += cast("dict[str, object]", found).values()
        elif isinstance(found, list):
            left += cast("list[object]", found)
    return None


def checked_depth(encoded: bytes, owner: str, levels: int = DEPTH) -> None:
    """Nothing, when JSON text nests at most `levels` deep.

    Raises:
        PayloadError: it nests deeper.
    """
    if len(encoded) <= levels:
        return
    if encoded.count(b"[") + encoded.count(b"{") > levels and _depth(encoded) > levels:
        raise _too_deep(owner)


def _too_deep(owner: str) -> PayloadError:
    return PayloadError(f"{owner}: nested deeper than {DEPTH} levels")


def _depth(encoded: bytes) -> int:
    deepest = level = 0
    for found in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', encoded):
        mark = found.group()
        if mark in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif mark in b"]}":
            level -= 1
    return deepest


def handler_parameters(fn: Callable[..., Any]) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    """The parameters of a handler and its resolved annotations, `return` included.

    Raises:
        ConfigError: an annotation names something that doesn't exist.
    """
    try:
        hints = get_type_hints(fn, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigError(f"the annotations of {fn.__qualname__} can't be resolved: {error}") from error
    return list(inspect.signature(fn).parameters.values()), hints


def _compiled(
    parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any], owner: str
) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    seen_default = False
    for parameter in parameters:
        if parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            raise ConfigError(
                f"{owner} takes {parameter}; a job's arguments need names, so spell each one out"
            )
        annotation = hints.get(parameter.name, Any)
        if parameter.default is not inspect.Parameter.empty:
            seen_default = True
            fields.append((parameter.name, annotation, _default(parameter.default)))
        elif seen_default:
            raise ConfigError(f"{owner}: put {parameter.name!r} before the parameters that have defaults")
        else:
            fields.append((parameter.name, annotation))
    try:
        return msgspec.defstruct(_identifier(owner), fields, forbid_unknown_fields=True)
    except TypeError as error:
        raise ConfigError(f"{owner} has parameters that can't be job arguments: {error}") from error


def _default(value: Any) -> Any:
    if isinstance(value, list | dict | set | bytearray):
        return msgspec.field(default_factory=cast("Callable[[], Any]", value.copy))
    return value


def _identifier(owner: str) -> str:
    return re.sub(r"\W", "_", owner)


def _result_decoder(annotation: object) -> msgspec.json.Decoder[Any]:
    if annotation is inspect.Signature.empty or annotation is None:
        return msgspec.json.Decoder()
    try:
        return msgspec.json.Decoder(cast("type[Any]", annotation), dec_hook=_decode_other)
    except TypeError:
        return msgspec.json.Decoder()


def _schema_other(kind: type[Any]) -> dict[str, Any]:
    if is_secret_type(kind):
        return {"writeOnly": True}
    if hasattr(kind, "model_json_schema"):
        return cast("dict[str, Any]", kind.model_json_schema())
    raise TypeError(f"{kind.__qualname__} has no JSON Schema")
