"""What a test says about dispatched jobs, and what it is told when that isn't so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.runtime.registry import JobType

_SHOWN = 10


class Dispatched(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it was dispatched.

    Attributes:
        arguments: by name, in the handler's own types, defaults filled in; plain JSON data when the type is
            not registered here.
        envelope: all of it, with queue, priority, times, user and tags.
    """

    id: str
    type: str
    arguments: dict[str, Any]
    envelope: Envelope

    @classmethod
    def of(cls, envelope: Envelope, job_type: JobType[..., Any] | None) -> Dispatched:
        """The job of an envelope."""
        payload = bytes(envelope.payload)
        arguments: dict[str, Any] = msgspec.json.decode(payload)
        if job_type is not None:
            try:
                values = job_type.arguments.decode(payload)
            except PayloadError:
                values = ()
            if values:
                arguments = dict(zip(job_type.arguments.names, values, strict=True))
        return cls(id=envelope.id, type=envelope.type, arguments=arguments, envelope=envelope)

    def __str__(self) -> str:
        """The job as a call."""
        return f"{self.type}({_shown(self.arguments)})"


def of_type(jobs: Sequence[Dispatched], what: JobType[..., Any] | str | None) -> list[Dispatched]:
    """The jobs of one type, all for None."""
    name = _name(what)
    return [job for job in jobs if name is None or job.type == name]


def matching(
    jobs: Sequence[Dispatched], what: JobType[..., Any] | str, arguments: Mapping[str, Any]
) -> list[Dispatched]:
    """The jobs of one type that have these arguments, among others."""
    return [job for job in of_type(jobs, what) if not _differing(job, arguments)]


def unmatched(jobs: Sequence[Dispatched], what: JobType[..., Any] | str, arguments: Mapping[str, Any]) -> str:
    """Why `matching` found nothing: the jobs of the type, the nearest first, else which types there were."""
    wanted = f"no {_name(what)}({_shown(arguments)}) was dispatched"
    same = of_type(jobs, what)
    if not same:
        others = Counter(job.type for job in jobs)
        there = ", ".join(f"{name} ({count})" for name, count in others.most_common(_SHOWN))
        return f"{wanted}, nor any other of this type; dispatched were: {there or 'no jobs at all'}"
    nearest = sorted(same, key=lambda job: len(_differing(job, arguments)))
    lines = [f"  {job}, differing in {', '.join(_differing(job, arguments))}" for job in nearest[:_SHOWN]]
    more = [f"  and {len(same) - _SHOWN:,} more"] if len(same) > _SHOWN else []
    return "\n".join([f"{wanted}; there were:", *lines, *more])


def _differing(job: Dispatched, arguments: Mapping[str, Any]) -> list[str]:
    return [
        name for name, value in arguments.items() if name not in job.arguments or job.arguments[name] != value
    ]


def _name(what: JobType[..., Any] | str | None) -> str | None:
    return what.name if isinstance(what, JobType) else what


def _shown(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r:.60}" for name, value in arguments.items())
