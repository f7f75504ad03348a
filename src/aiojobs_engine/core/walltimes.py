"""Wall times that fit plain fields of a cron expression: numbers, lists, stars and steps."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

_SECONDS = "second"
_DAY = timedelta(days=1)
_DECEMBER = 12
_END = date(9998, 12, 31)
"""Days are looked at up to this one, short of the last that a date can be."""

Values = tuple[int, ...]


def following_walls(
    fields: Mapping[str, str], whole: Mapping[str, range], years: int
) -> Callable[[datetime], datetime | None] | None:
    """From a wall time to the next one that fits, None when there is none within so many years.

    `fields` by name, spelled out; without `second` a minute fires at its first one. None for fields that are
    not plain.
    """
    values: dict[str, Values] = {}
    for name, field in fields.items():
        found = _values(field, whole[name])
        if not found:
            return None
        values[name] = found
    fits = _dates(
        values, has_star=fields["day of month"].startswith("*") or fields["day of week"].startswith("*")
    )
    times = (values["hour"], values["minute"], values.get(_SECONDS, (0,)))
    months, furthest = values["month"], _DAY * 366 * years
    first = (times[0][0], times[1][0], times[2][0])

    def following(wall: datetime) -> datetime | None:
        day = wall.date()
        if day.month in months and fits(day) and (later := _later(times, wall)) is not None:
            return datetime.combine(day, time(*later))
        last = day + min(furthest, max(_END - day, timedelta()))
        while day < last:
            day += _DAY
            if day.month not in months:
                day = _last_of_month(day)
            elif fits(day):
                return datetime.combine(day, time(*first))
        return None

    return following


def _values(field: str, whole: range) -> Values:
    if field.startswith("*"):
        step = field.removeprefix("*").removeprefix("/")
        return tuple(whole[:: int(step)]) if step.isdecimal() else tuple(whole) if field == "*" else ()
    parts = field.split(",")
    return tuple(sorted(map(int, parts))) if all(part.isdecimal() for part in parts) else ()


def _dates(values: Mapping[str, Values], *, has_star: bool) -> Callable[[date], bool]:
    """Whether a day of a month that fits does: both fields of days when one is a star, else one of them."""
    days, weekdays = frozenset(values["day of month"]), frozenset(values["day of week"])
    if has_star:
        return lambda day: day.day in days and day.isoweekday() % 7 in weekdays
    return lambda day: day.day in days or day.isoweekday() % 7 in weekdays


def _later(times: Sequence[Values], wall: datetime) -> tuple[int, int, int] | None:
    """The first time of the same day that is later."""
    hours, minutes, seconds = times
    if wall.hour in hours:
        if wall.minute in minutes and (second := _above(seconds, wall.second)) is not None:
            return wall.hour, wall.minute, second
        if (minute := _above(minutes, wall.minute)) is not None:
            return wall.hour, minute, seconds[0]
    hour = _above(hours, wall.hour)
    return None if hour is None else (hour, minutes[0], seconds[0])


def _above(values: Values, value: int) -> int | None:
    place = bisect_right(values, value)
    return values[place] if place < len(values) else None


def _last_of_month(day: date) -> date:
    following = date(day.year + day.month // _DECEMBER, day.month % _DECEMBER + 1, 1)
    return following - _DAY
