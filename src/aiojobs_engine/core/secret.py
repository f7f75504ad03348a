"""Values that a job works with and nobody is shown."""

from typing import Any, Generic, Protocol, TypeVar, cast, get_args, get_origin

import msgspec

T_co = TypeVar("T_co", covariant=True)

WIRE_KEY = "$secret"
"""Secrets lie in payloads as an object with this one key, so that every output knows them."""


class Secret(Generic[T_co]):
    """A value that travels in arguments and results, and shows as `***` wherever it is printed.

    Annotate a parameter or a field as `Secret[str]` (or any other type that JSON can hold); `reveal()` gives
    the value. It hides the value from outputs, not from those who read the store.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T_co) -> None:
        """Keep `value`."""
        self._value = value

    def reveal(self) -> T_co:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == cast("Secret[object]", other).reveal()

    def __hash__(self) -> int:
        return hash((Secret, self._value))


class _Foreign(Protocol):
    def get_secret_value(self) -> object: ...


def is_secret(value: object) -> bool:
    """Whether `value` is a `Secret`, or a secret of pydantic or one that looks like it."""
    return isinstance(value, Secret) or hasattr(value, "get_secret_value")


def sealed(value: object) -> dict[str, object]:
    """A secret as it travels."""
    if isinstance(value, Secret):
        return {WIRE_KEY: cast("Secret[object]", value).reveal()}
    return {WIRE_KEY: cast("_Foreign", value).get_secret_value()}


def is_secret_type(kind: object) -> bool:
    """Whether an annotation names a type of secrets."""
    base = get_origin(kind) or kind
    return base is Secret or hasattr(base, "get_secret_value")


def unsealed(kind: Any, value: object) -> object:
    """The secret of type `kind` that travelled as `value`; bare values, of other languages, are taken too."""
    inner: object = cast("dict[str, object]", value).get(WIRE_KEY) if _is_sealed(value) else value
    base = get_origin(kind) or kind
    if base is not Secret:
        return base(inner)
    given = get_args(kind)
    return Secret(msgspec.convert(inner, given[0]) if given else inner)


def _is_sealed(value: object) -> bool:
    return isinstance(value, dict) and WIRE_KEY in value
