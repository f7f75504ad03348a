"""Cron expressions under readable names: each function returns one, for wherever an expression goes."""

from collections.abc import Sequence

from aiojobs_engine.core.errors import ConfigError, did_you_mean

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_SECONDS = 60
_HOURS = 24
_LAST_DAY = 31
_LAST_MONTH = 12


def every_seconds(count: int = 1) -> str:
    """Each `count` seconds, counted from the full minute; `count` divides 60."""
    return f"*/{_divisor(count, _SECONDS, 'seconds of a minute')} * * * * *"


def every_minutes(count: int = 1) -> str:
    """Each `count` minutes, counted from the full hour; `count` divides 60."""
    return f"*/{_divisor(count, _SECONDS, 'minutes of an hour')} * * * *"


def every_hours(count: int = 1, *, at: int = 0) -> str:
    """Each `count` hours at minute `at`, counted from midnight; `count` divides 24."""
    return f"{_within(at, 0, 59, 'minute')} */{_divisor(count, _HOURS, 'hours of a day')} * * *"


def hourly(*, at: int = 0, between: tuple[int, int] | None = None) -> str:
    """Each hour at minute `at`, or only in the hours `between`, both included."""
    hours = "*" if between is None else "-".join(str(_within(hour, 0, 23, "hour")) for hour in between)
    return f"{_within(at, 0, 59, 'minute')} {hours} * * *"


def daily(at: str = "00:00") -> str:
    """Each day at a time like "03:00", or "03:00:30"."""
    return f"{_time(at)} * * *"


def weekdays(at: str = "00:00") -> str:
    """Monday to Friday."""
    return f"{_time(at)} * * 1-5"


def weekends(at: str = "00:00") -> str:
    """Saturday and Sunday."""
    return f"{_time(at)} * * 6,0"


def weekly(day: str | Sequence[str] = "sun", at: str = "00:00") -> str:
    """Each week on a day, or several: "mon", "Monday", ["tue", "thu"]."""
    days = [day] if isinstance(day, str) else list(day)
    if not days:
        raise ConfigError("weekly takes at least one day")
    return f"{_time(at)} * * {','.join(str(_day(each)) for each in days)}"


def monthly(day: int | Sequence[int] = 1, at: str = "00:00") -> str:
    """Each month on a day, or several; -1 is the last day of the month."""
    days = [day] if isinstance(day, int) else list(day)
    if not days:
        raise ConfigError("monthly takes at least one day")
    return f"{_time(at)} {','.join(map(_day_of_month, days))} * *"


def quarterly(day: int = 1, at: str = "00:00") -> str:
    """January, April, July and October on a day."""
    return f"{_time(at)} {_day_of_month(day)} 1,4,7,10 *"


def yearly(month: int = 1, day: int = 1, at: str = "00:00") -> str:
    """Once a year."""
    return f"{_time(at)} {_day_of_month(day)} {_within(month, 1, _LAST_MONTH, 'month')} *"


def _divisor(count: int, whole: int, what: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count < whole or whole % count:  # pyright: ignore[reportUnnecessaryIsInstance]
        fitting = ", ".join(str(each) for each in range(1, whole) if whole % each == 0)
        raise ConfigError(f"the {whole} {what} are parted evenly by {fitting}, got {count!r:.40}")
    return count


def _within(value: int, least: int, most: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"a {what} is within {least} to {most}, got {value!r:.40}")
    return value


def _time(at: str) -> str:
    """`at` as the first fields of an expression."""
    parts = at.split(":") if isinstance(at, str) else []  # pyright: ignore[reportUnnecessaryIsInstance]
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigError(f"a time of day is like '03:00' or '03:00:30', got {at!r:.40}")
    hour, minute, *second = map(int, parts)
    _within(hour, 0, 23, "hour")
    _within(minute, 0, 59, "minute")
    seconds = "".join(f"{_within(each, 0, 59, 'second')} " for each in second)
    return f"{seconds}{minute} {hour}"


def _day(name: str) -> int:
    short = str(name).lower()[:3]
    if short not in DAYS:
        raise ConfigError(f"there is no day {name!r:.40}{did_you_mean(short, DAYS) or '; say mon, tue, ...'}")
    return DAYS.index(short)


def _day_of_month(day: int) -> str:
    return "L" if day == -1 else str(_within(day, 1, _LAST_DAY, "day of the month"))
