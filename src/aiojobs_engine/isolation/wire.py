"""What worker and child tell each other: one assignment, then signs of life and one answer, as JSON lines."""

import importlib
from dataclasses import replace
from typing import Any, NamedTuple, cast

import msgspec

from aiojobs_engine.core.codec import RefusedResult
from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.core.limits import shortened
from aiojobs_engine.core.outcome import (
    Cancelled,
    Discarded,
    Failed,
    Interrupted,
    Outcome,
    Paused,
    RowsDone,
    Snoozed,
    Spawned,
    Succeeded,
    WorkerLost,
)
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.runtime.registry import JobType
from aiojobs_engine.runtime.tracebacks import traceback_of


class Source(NamedTuple):
    """Where the child finds the engine: a target `module:attribute`, or an attribute of a script."""

    target: str
    script: str | None = None


class Assignment(msgspec.Struct, frozen=True):
    """What the child is to do; `path` is the parent's `sys.path`."""

    claim: Claim
    source: Source
    path: list[str]


class Message(msgspec.Struct, frozen=True):
    """A word of the child: `alive`, `lease_lost`, or the name of an outcome with its fields."""

    kind: str
    body: msgspec.Raw = msgspec.Raw(b"null")


class Value(msgspec.Struct, frozen=True):
    """The encoded result of `Succeeded`; `refused` says why it can't be stored."""

    result: bytes | None = None
    refused: str | None = None


class Fault(msgspec.Struct, frozen=True):
    """`Failed`, with the exception in words; `attributes` are those of its attributes that are plain."""

    module: str
    qualname: str
    message: str
    traceback: str
    attributes: dict[str, Any]
    delay: float | None
    permanent: str | None


ALIVE = Message("alive")
STORE_AWAY = 75
"""The exit code of a child that could not reach the store: before its job began, no crash of the job."""

_LEASE_LOST = "lease_lost"
_SUCCEEDED = Succeeded.__name__
_FAILED = Failed.__name__
_AS_THEY_ARE: dict[str, type[Outcome]] = {
    kind.__name__: kind
    for kind in (RowsDone, Spawned, Snoozed, Discarded, Cancelled, Paused, Interrupted, WorkerLost)
}
_PLAIN = (str, int, float, bool, type(None))

_encoder = msgspec.json.Encoder(enc_hook=str)
_messages = msgspec.json.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """One line."""
    return _encoder.encode(message) + b"\n"


def decode_message(line: bytes) -> Message:
    """The message of a line."""
    return _messages.decode(line)


class RemoteError(Exception):
    """An exception of the child whose class can't be found here."""


def answer_of(outcome: Outcome | None, job_type: JobType[..., Any], result_bytes: int) -> Message:
    """What the child says; None is a lost lease."""
    match outcome:
        case None:
            return Message(_LEASE_LOST)
        case Succeeded(result=result):
            try:
                value = Value(job_type.results.encode(result, result_bytes))
            except PayloadError as error:
                value = Value(refused=str(error))
            return Message(_SUCCEEDED, msgspec.Raw(_encoder.encode(value)))
        case Failed():
            return Message(_FAILED, msgspec.Raw(_encoder.encode(_fault(outcome))))
        case _:
            return Message(type(outcome).__name__, msgspec.Raw(_encoder.encode(outcome)))


def outcome_of(answer: Message, job_type: JobType[..., Any]) -> Outcome | None:
    """What the parent's finalizer gets; None is a lost lease."""
    if answer.kind == _LEASE_LOST:
        return None
    if answer.kind == _SUCCEEDED:
        value = msgspec.json.decode(answer.body, type=Value)
        if value.refused is not None:
            return Succeeded(RefusedResult(value.refused))
        return Succeeded(job_type.results.decode(value.result))
    if answer.kind == _FAILED:
        fault = msgspec.json.decode(answer.body, type=Fault)
        return Failed(_exception(fault), fault.delay, fault.permanent)
    outcome = msgspec.json.decode(answer.body, type=_AS_THEY_ARE[answer.kind])
    if isinstance(outcome, RowsDone | Spawned) and outcome.result is not None:
        return replace(outcome, result=job_type.results.decode(_encoder.encode(outcome.result)))
    return outcome


def _fault(failed: Failed) -> Fault:
    error = failed.error
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not lose the job
        message = "<its message can't be shown>"
    kind = type(error)
    return Fault(
        kind.__module__,
        kind.__qualname__,
        shortened(message),
        shortened(traceback_of(error)),
        {name: value for name, value in vars(error).items() if isinstance(value, _PLAIN)},
        failed.delay,
        failed.permanent,
    )


def _exception(fault: Fault) -> BaseException:
    """An exception of the same class, for retry policies that ask for classes, with the child's text."""
    found = _exception_class(fault.module, fault.qualname)
    error = _instance(found, fault) if found is not None else None
    error = error or _instance(RemoteError, fault) or RemoteError(fault.message)
    error.add_note(f"It was raised in a process of its own:\n{fault.traceback}")
    return error


def _instance(kind: type[BaseException], fault: Fault) -> BaseException | None:
    """An instance of a class derived from `kind`, so that no constructor of its own runs; or None."""

    def said(_: BaseException) -> str:
        return fault.message

    body: dict[str, object] = {
        "__module__": fault.module,
        "__qualname__": fault.qualname,
        "__init__": BaseException.__init__,
        "__str__": said,
    }
    try:
        error = cast("BaseException", type(fault.qualname.rpartition(".")[2], (kind,), body)(fault.message))
        vars(error).update(fault.attributes)
    except Exception:  # noqa: BLE001 - a class may refuse to be derived from
        return None
    return error


def _exception_class(module: str, qualname: str) -> type[BaseException] | None:
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
