"""When a cron entry fires: an expression in a time zone, as a function from one instant to the next.

The rule for changes of the clocks is that of Debian's cron. An expression whose second, minute or hour
starts with `*` follows elapsed time: it fires at each instant whose wall time fits, so in both passes of a
repeated hour and never in a skipped one. Any other expression names times of day, each once: a time that is
skipped fires at the first instant after the gap, one that comes twice in its first pass alone.

Day of month and day of week are alternatives when both are given, unless one of them starts with `*`; then
both must fit, which is Debian's rule too.
"""

import hashlib
import importlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.instant import Instant, instant, moment
from aiojobs_engine.core.walltimes import following_walls

LONGEST_EXPRESSION = 256
SEARCH_YEARS = 5
"""An expression without an instant within so many years is impossible."""

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_WITH_SECONDS = ("second", *_FIELDS)
_TIMES = frozenset({"second", "minute", "hour"})
_WHOLE = {
    "second": range(60),
    "minute": range(60),
    "hour": range(24),
    "day of month": range(1, 32),
    "month": range(1, 13),
    "day of week": range(7),
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS = {
    "month": {name: number for number, name in enumerate(_MONTHS, 1)},
    "day of week": {**{name: number for number, name in enumerate(_DAYS)}, "7": 0},
}
_WORDS = frozenset({*_MONTHS, *_DAYS, "l"})
_LIBRARY_FORM = re.compile(r"[*l#]")
_FIELD = re.compile(r"[0-9a-z*/,#-]+")
_WORD = re.compile(r"[a-z]+")
_STEP = re.compile(r"/(\d+)")
_REFERENCE = 946_684_800.0
"""2000-01-01 UTC: where the search for the first fit begins; a leap day is near."""

_SECOND = timedelta(seconds=1)
_SECOND_MS = 1000
_KEPT = 1024
_HOP = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall times have no zone


class CronSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When an entry fires, as data.

    Attributes:
        expression: five fields (minute, hour, day of month, month, day of week), or six with seconds first.
        tz: a name of the time zone database.
        jitter: seconds; each fire is due up to so much later than its instant.
        start, end: it fires at neither an instant before `start` nor one after `end`.
    """

    expression: str
    tz: str = "UTC"
    jitter: float = 0.0
    start: Instant | None = None
    end: Instant | None = None


class Schedule:
    """A compiled `CronSpec`.

    Attributes:
        spec: what it was made from.
    """

    __slots__ = ("_asked", "_follows_elapsed_time", "_next_wall", "_zone", "spec")

    def __init__(self, spec: CronSpec) -> None:
        """Check and compile.

        Raises:
            ConfigError: the expression is malformed or impossible, or the time zone is unknown; the error
                names the field, or the nearest zone.
        """
        self.spec = spec
        fields = _checked_fields(spec.expression)
        names = _WITH_SECONDS if len(fields) == len(_WITH_SECONDS) else _FIELDS
        self._follows_elapsed_time = any(
            field.startswith("*") for name, field in zip(names, fields, strict=True) if name in _TIMES
        )
        self._next_wall = _compiled(fields, spec.expression)
        self._zone = _zone(spec.tz)
        self._asked: tuple[Instant, Instant | None] | None = None

    def next_fire(self, after: Instant) -> Instant | None:
        """The first instant later than `after`; None when there is none within 5 years, nor up to `end`."""
        asked = self._asked  # a scheduler asks for the same instant twice: before a fire, and after it
        if asked is None or asked[0] != after:
            asked = self._asked = (after, self._next_fire(after))
        return asked[1]

    def _next_fire(self, after: Instant) -> Instant | None:
        spec = self.spec
        if spec.start is not None and after < spec.start:
            after = Instant(spec.start - 1)
        start = moment(after)
        found = self._by_elapsed_time(start) if self._follows_elapsed_time else self._by_wall(start)
        if found is None:
            return None
        at = instant(found)
        return None if spec.end is not None and at > spec.end else at

    def newest_fire(self, after: Instant, until: Instant) -> Instant | None:
        """The last instant later than `after` and not later than `until`; None without one."""
        found = self.next_fire(after)
        if found is None or found > until:
            return None
        low, high = int(after), int(until)
        while high - low > _SECOND_MS:
            middle = (low + high) // 2
            later = self.next_fire(Instant(middle))
            if later is not None and later <= until:
                low, found = middle, later
            else:
                high = middle
        return found

    def in_zone(self, at: Instant) -> datetime:
        """An instant as people of the time zone read it."""
        return moment(at).astimezone(self._zone)

    def _by_elapsed_time(self, after: datetime) -> datetime | None:
        """The first instant after `after` whose wall time fits; it goes from one clock change to the next."""
        offset = self._offset(after)
        wall = _wall(after, offset)
        while True:
            found = self._next_wall(wall)
            if found is None:
                return None
            at = (found - offset).replace(tzinfo=UTC)
            change = self._next_change(after, at)
            if change is None:
                return at
            after, offset = change, self._offset(change)
            wall = _wall(change, offset) - _SECOND

    def _by_wall(self, after: datetime) -> datetime | None:
        """The first time of day whose first pass is after `after`."""
        wall = _wall(after, self._offset(after))
        if after.astimezone(self._zone).fold:
            # the second pass repeats times that have fired; the next new one comes when it has ended
            change = self._next_change(after - _HOP, after)
            if change is not None:
                wall = max(wall, _wall(change, self._offset(change - _SECOND)) - _SECOND)
        while (found := self._next_wall(wall)) is not None:
            at = self._first_pass(found)
            if at > after:
                return at
            wall = found
        return None

    def _first_pass(self, wall: datetime) -> datetime:
        """The instant of a wall time: of two the first, of none the end of the gap."""
        at = wall.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
        if at.astimezone(self._zone).replace(tzinfo=None) == wall:
            return at
        change = self._next_change(at - _HOP, at)
        return at if change is None else change

    def _next_change(self, after: datetime, until: datetime) -> datetime | None:
        """The first instant in (after, until] from which on another offset holds, to the second."""
        offset, low = self._offset(after), after
        while low < until:
            high = min(low + _HOP, until)
            if self._offset(high) != offset:
                return self._halved(low, high, offset)
            low = high
        return None

    def _halved(self, low: datetime, high: datetime, offset: timedelta) -> datetime:
        first, last = int(low.timestamp()), int(high.timestamp())
        while last - first > 1:
            middle = (first + last) // 2
            if self._offset(datetime.fromtimestamp(middle, UTC)) == offset:
                first = middle
            else:
                last = middle
        return datetime.fromtimestamp(last, UTC)

    def _offset(self, at: datetime) -> timedelta:
        return at.astimezone(self._zone).utcoffset() or timedelta()


def delay_of(name: str, at: Instant, jitter: float) -> int:
    """Ms, up to `jitter` seconds, by which the fire of `name` at `at` is put off; the same everywhere."""
    if jitter <= 0:
        return 0
    digest = hashlib.blake2b(f"{name}@{at}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) * round(jitter * 1000) >> 64


def fire_id(name: str, at: Instant) -> str:
    """The id of the job that the entry `name` fires at `at`."""
    when = moment(at)
    fraction = "" if when.microsecond == 0 else f".{when.microsecond // 1000:03}"
    return f"cron:{name}:{when:%Y%m%dT%H%M%S}{fraction}Z"


def checked_expression(expression: str) -> str:
    """The expression with nicknames spelled out and single spaces.

    Raises:
        ConfigError: it is malformed or impossible.
    """
    fields = _checked_fields(expression)
    _compiled(fields, expression)
    return " ".join(fields)


def _checked_fields(expression: object) -> list[str]:
    if not isinstance(expression, str):
        raise ConfigError(f"a cron expression is text like '0 3 * * *', got {expression!r:.80}")
    if len(expression) > LONGEST_EXPRESSION:
        raise ConfigError(
            f"a cron expression has at most {LONGEST_EXPRESSION} characters, got {len(expression):,}: "
            f"{expression[:20]!r}..."
        )
    text = expression.strip().lower()
    if text.startswith("@"):
        if text not in NICKNAMES:
            hint = did_you_mean(text, NICKNAMES) or f"; there are {', '.join(NICKNAMES)}"
            raise ConfigError(f"there is no cron nickname {expression!r:.40}{hint}")
        text = NICKNAMES[text]
    fields = text.replace("?", "*").split()
    if len(fields) not in (len(_FIELDS), len(_WITH_SECONDS)):
        raise ConfigError(
            "a cron expression has five fields (minute, hour, day of month, month, day of week) or six "
            f"with seconds first, got {len(fields)}: {expression!r:.80}"
        )
    names = _WITH_SECONDS if len(fields) == len(_WITH_SECONDS) else _FIELDS
    for name, field in zip(names, fields, strict=True):
        fault = _fault_of(field, name, names)
        if fault:
            raise ConfigError(f"cron expression {expression!r:.80}: the {name} {field!r:.40} {fault}")
    return fields


@lru_cache(maxsize=_KEPT)
def _fault_of(field: str, name: str, names: tuple[str, ...]) -> str:
    """What is wrong with one field, in words; empty when it is right."""
    strange = [word for word in _WORD.findall(field) if word not in _WORDS]
    if strange or not _FIELD.fullmatch(field):
        return "holds characters or words that cron doesn't know"
    largest = len(_WHOLE[name]) - (name not in ("day of month", "month", "day of week"))
    if any(not 1 <= int(step) <= largest for step in _STEP.findall(field)):
        return f"has a step that is not within 1 to {largest}"
    try:
        _croniter(" ".join(_spelled_out(field, name) if each == name else "*" for each in names))
    except ValueError:
        return "is malformed or out of range"
    return ""


def _all_spelled_out(fields: Sequence[str]) -> list[str]:
    """The fields in a form that the library takes at its word."""
    names = _WITH_SECONDS if len(fields) == len(_WITH_SECONDS) else _FIELDS
    spelled = [_spelled_out(field, name) for name, field in zip(names, fields, strict=True)]
    month_day, week_day = spelled[-3], spelled[-1]
    is_every = _is_whole(month_day, "day of month") or _is_whole(week_day, "day of week")
    if is_every and not month_day.startswith("*") and not week_day.startswith("*"):
        # the library takes a list of all days for a star, with which the other field would count alone
        spelled[-3] = spelled[-1] = "*"
    return spelled


def _is_whole(spelled: str, name: str) -> bool:
    return spelled == ",".join(map(str, _WHOLE[name]))


def _spelled_out(field: str, name: str) -> str:
    """The values of a field as a list of numbers; stars stay. The library takes a range like `0-0` for all.

    Raises:
        ValueError: it is malformed or out of range.
    """
    if _LIBRARY_FORM.search(field):
        return field
    whole, values = _WHOLE[name], set[int]()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        low, dash, high = span.partition("-")
        first = _number(low, name)
        last = _number(high, name) if dash else whole[-1] if slash else first
        if name == "day of week" and high == "7" and low != "7":
            last = 7
        wrapped = [*range(first, whole[-1] + 1), *range(whole[0], last + 1)]
        run = range(first, last + 1) if first <= last else wrapped
        values.update(run[:: int(step) if slash else 1])
    if name == "day of week":
        values = {value % 7 for value in values}
    return ",".join(map(str, sorted(values)))


def _number(text: str, name: str) -> int:
    number = _NUMBERS.get(name, {}).get(text)
    if number is None:
        number = int(text)
    if number not in _WHOLE[name]:
        raise ValueError(f"{number} is out of range")
    return number


def _compiled(fields: Sequence[str], expression: str) -> Callable[[datetime], datetime | None]:
    """From a wall time to the next one that fits, None when there is none within 5 years."""
    following = _following(tuple(fields))
    if following(_EPOCH + timedelta(seconds=_REFERENCE)) is None:
        raise ConfigError(
            f"cron expression {expression!r:.80} never fires: no date in {SEARCH_YEARS} years fits"
        )
    return following


@lru_cache(maxsize=_KEPT)
def _following(fields: tuple[str, ...]) -> Callable[[datetime], datetime | None]:
    """Plain fields are looked up in their values; for the others the library is asked, 20 times as slow."""
    names = _WITH_SECONDS if len(fields) == len(_WITH_SECONDS) else _FIELDS
    spelled = _all_spelled_out(fields)
    plain = following_walls(dict(zip(names, spelled, strict=True)), _WHOLE, SEARCH_YEARS)
    if plain is not None:
        return plain
    found = _croniter(" ".join(spelled))

    def following(wall: datetime) -> datetime | None:
        try:
            seconds = found.get_next(float, start_time=float((wall - _EPOCH) // _SECOND))
        except ValueError:
            return None
        return _EPOCH + timedelta(seconds=round(seconds))

    return following


def _croniter(fields: str) -> Any:
    """The library's iterator, told nothing of time zones; imported late, for it takes 46 ms."""
    library: Any = importlib.import_module("croniter")
    return library.croniter(
        fields,
        _REFERENCE,
        max_years_between_matches=SEARCH_YEARS,
        second_at_beginning=len(fields.split()) == len(_WITH_SECONDS),
        implement_cron_bug=True,
    )


def _zone(name: object) -> ZoneInfo:
    if isinstance(name, str) and name:
        try:
            return ZoneInfo(name)
        except (OSError, ValueError, LookupError):
            pass
    hint = did_you_mean(str(name)[:80], available_timezones())
    raise ConfigError(f"there is no time zone {name!r:.80}{hint or '; name one like Europe/Paris'}")


def _wall(at: datetime, offset: timedelta) -> datetime:
    return (at + offset).replace(tzinfo=None)
