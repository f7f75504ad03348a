"""What a cron entry in code says, checked when the module is loaded."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, cast, get_args

import msgspec

from aiojobs_engine.core.config import seconds_of
from aiojobs_engine.core.cron_order import circle_fault, circle_of
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.instant import instant
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.core.schedule import CronSpec, Schedule, checked_expression
from aiojobs_engine.ports.cron import Missed, Overlap

LONGEST_NAME = 90
"""Characters; the ids of its jobs add 33 at most and must stay within 128."""

_ABSOLUTE = ("at", "id")
"""Options of a job that name one instant or one job, so that no two fires can share them."""


class TimingOptions(TypedDict, total=False):
    """When an entry fires, beside its expression.

    Attributes:
        tz: a name of the time zone database; UTC without.
        jitter: seconds or a `timedelta`; each fire is due up to so much later, the same on every machine.
        start, end: it fires at neither an instant before `start` nor one after `end`; aware datetimes.
        missed: what becomes of fires that came to no scheduler in time: the newest is made up for (`one`),
            none (`skip`), or all within `missed_within`.
        missed_within: seconds, a `timedelta` or text like "3h": the age up to which missed fires are made
            up for; `all` needs it, for `one` there is no bound without it.
        overlap: while a job of an earlier fire has not ended, a fire is skipped (`skip`), queued (`queue`),
            or cancels that job (`cancel_running`).
        environments: it fires only in workers whose `worker.environment` is one of these; any without.
        depends_on: names of entries. A job of this one starts when the newest fires of those have completed;
            a fire of which one did not is skipped.
    """

    tz: str
    jitter: float | timedelta
    start: datetime | None
    end: datetime | None
    missed: Missed
    missed_within: float | timedelta | str | None
    overlap: Overlap
    environments: Sequence[str] | None
    depends_on: str | Sequence[str] | None


TIMING = frozenset(TimingOptions.__annotations__)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """`TimingOptions` and the expression, checked."""

    spec: CronSpec
    missed: Missed
    missed_within: float | None
    overlap: Overlap
    environments: tuple[str, ...]
    depends_on: tuple[str, ...]


class CronPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in code: when, which job type, and with which arguments, encoded."""

    name: str
    timing: Timing
    type: str
    payload: bytes


def check_repeatable(options: Mapping[str, Any], owner: str) -> None:
    """Nothing, when every fire can have these options of a job.

    Raises:
        ConfigError: one of them names one instant or one job.
    """
    for name in _ABSOLUTE:
        if name in options:
            raise ConfigError(f"{owner} fires many jobs, so it has no option {name!r}")
    if isinstance(options.get("expires"), datetime):
        raise ConfigError(f"{owner} fires many jobs, so expires is a time from each fire, not an instant")


def checked_timing(expression: str, options: Mapping[str, Any]) -> Timing:
    """The timing of an entry in its stored form.

    Raises:
        ConfigError: the expression never fires or is malformed, the zone is unknown, or an option is out of
            range.
    """
    for name in options:
        if name not in TIMING:
            raise ConfigError(f"a cron entry has no option {name!r}{did_you_mean(name, TIMING)}")
    start, end = _instant(options.get("start"), "start"), _instant(options.get("end"), "end")
    if start is not None and end is not None and end < start:
        raise ConfigError(f"end {options['end']} is before start {options['start']}, so it would never fire")
    within = options.get("missed_within")
    timing = Timing(
        spec=CronSpec(
            expression=checked_expression(expression),
            tz=options.get("tz", "UTC"),
            jitter=_seconds(options.get("jitter", 0.0), "jitter"),
            start=start,
            end=end,
        ),
        missed=_one_of(options.get("missed", "one"), get_args(Missed), "missed"),
        missed_within=None if within is None else _seconds(within, "missed_within"),
        overlap=_one_of(options.get("overlap", "skip"), get_args(Overlap), "overlap"),
        environments=_names(options.get("environments") or (), "environments"),
        depends_on=_depends_on(options.get("depends_on") or ()),
    )
    if timing.missed == "all" and timing.missed_within is None:
        raise ConfigError(
            "missed='all' needs missed_within, the age up to which missed fires are made up for"
        )
    Schedule(timing.spec)
    return timing


def check_order(name: str, depends_on: Mapping[str, Sequence[str]]) -> None:
    """Nothing, when an entry doesn't wait for itself; `depends_on` is what all entries wait for.

    Raises:
        ConfigError: it does, itself or through others.
    """
    if circle := circle_of(name, depends_on):
        raise ConfigError(f"cron entry {name!r} would never fire: {circle_fault(circle)}")


def checked_cron_name(name: str) -> str:
    """`name` itself, when an entry can have it.

    Raises:
        ConfigError: it has other characters than a job's id, or more than 90.
    """
    checked_name(name, "the name of a cron entry")
    if len(name) > LONGEST_NAME:
        raise ConfigError(
            f"the name of a cron entry has at most {LONGEST_NAME} characters, got {name!r}; give name=..."
        )
    return name


def _seconds(value: object, what: str) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{what} must be seconds or a timedelta, got {value!r:.80}")
    return seconds_of(value)


def _instant(value: object, what: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigError(f"{what} must be a datetime with a time zone, got {value!r:.80}")
    return instant(value)


def _one_of(value: object, known: tuple[str, ...], what: str) -> Any:
    if value not in known:
        hint = did_you_mean(str(value)[:80], known)
        raise ConfigError(f"{what} is one of {', '.join(known)}, got {value!r:.80}{hint}")
    return value


def _names(value: object, what: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(f"{what} must be a list of names, got {value!r:.80}")
    return tuple(checked_name(name, f"a name in {what}") for name in cast("Sequence[str]", value))


def _depends_on(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_names((value,) if isinstance(value, str) else value, "depends_on")))
