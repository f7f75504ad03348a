import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from time import perf_counter  # noqa: TID251 - the bound of the search is one of real time
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import Instant, instant, moment
from aiojobs_engine.core.schedule import NICKNAMES, CronSpec, Schedule, delay_of, fire_id

EXAMPLES = int(os.environ.get("AIOJOBS_EXAMPLES") or (300 if os.environ.get("AIOJOBS_CI") == "1" else 40))
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Havana",
    "Europe/Dublin",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "America/St_Johns",
]
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def schedule(expression: str, tz: str = "UTC", **fields: object) -> Schedule:
    return Schedule(CronSpec(expression=expression, tz=tz, **fields))  # type: ignore[arg-type]


def fires(of: Schedule, after: datetime) -> Iterator[datetime]:
    at = of.next_fire(instant(after))
    while at is not None:
        yield moment(at)
        at = of.next_fire(at)


def local(tz: str, after: str, expression: str, count: int) -> list[str]:
    """The first fires after a wall time, as wall times with their offsets."""
    zone = ZoneInfo(tz)
    found = fires(schedule(expression, tz), datetime.fromisoformat(after).replace(tzinfo=zone))
    return [each.astimezone(zone).strftime("%d %H:%M%z") for each in islice(found, count)]


# --- C4: the clock goes forward


@pytest.mark.case("C4")
@pytest.mark.parametrize(
    "tz, before, expression, expected",
    [
        ("Europe/Berlin", "2026-03-28T12:00", "30 2 * * *", ["29 03:00+0200", "30 02:30+0200"]),
        ("America/New_York", "2026-03-07T12:00", "30 2 * * *", ["08 03:00-0400", "09 02:30-0400"]),
        ("America/Santiago", "2026-09-05T12:00", "0 0 * * *", ["06 01:00-0300", "07 00:00-0300"]),
        ("America/Santiago", "2026-09-05T12:00", "30 2 * * *", ["06 02:30-0300", "07 02:30-0300"]),
        ("Australia/Lord_Howe", "2026-10-03T12:00", "10 2 * * *", ["04 02:30+1100", "05 02:10+1100"]),
        ("UTC", "2026-03-28T12:00", "30 2 * * *", ["29 02:30+0000", "30 02:30+0000"]),
    ],
)
def test_a_time_of_day_that_is_skipped_fires_at_the_first_instant_after_the_gap(
    tz: str, before: str, expression: str, expected: list[str]
) -> None:
    assert local(tz, before, expression, 2) == expected


@pytest.mark.case("C4")
def test_several_times_in_one_gap_fire_once() -> None:
    assert local("Europe/Berlin", "2026-03-29T00:00", "0,20,40 2 * * *", 3) == [
        "29 03:00+0200",
        "30 02:00+0200",
        "30 02:20+0200",
    ]


@pytest.mark.case("C4")
def test_an_interval_never_fires_in_a_skipped_hour() -> None:
    assert local("Europe/Berlin", "2026-03-29T01:10", "*/30 * * * *", 3) == [
        "29 01:30+0100",
        "29 03:00+0200",
        "29 03:30+0200",
    ]
    assert local("Europe/Berlin", "2026-03-29T00:10", "0 */2 * * *", 2) == ["29 04:00+0200", "29 06:00+0200"]


# --- C5: the clock goes back


@pytest.mark.case("C5")
@pytest.mark.parametrize(
    "tz, before, expression, expected",
    [
        ("Europe/Berlin", "2026-10-24T12:00", "30 2 * * *", ["25 02:30+0200", "26 02:30+0100"]),
        ("America/New_York", "2026-10-31T12:00", "30 1 * * *", ["01 01:30-0400", "02 01:30-0500"]),
        ("America/Santiago", "2026-04-04T12:00", "30 23 * * *", ["04 23:30-0300", "05 23:30-0400"]),
        ("America/Santiago", "2026-04-04T12:00", "30 1 * * *", ["05 01:30-0400", "06 01:30-0400"]),
        ("Australia/Lord_Howe", "2026-04-04T12:00", "45 1 * * *", ["05 01:45+1100", "06 01:45+1030"]),
        ("UTC", "2026-10-24T12:00", "30 1 * * *", ["25 01:30+0000", "26 01:30+0000"]),
    ],
)
def test_a_time_of_day_that_comes_twice_fires_in_its_first_pass(
    tz: str, before: str, expression: str, expected: list[str]
) -> None:
    assert local(tz, before, expression, 2) == expected


@pytest.mark.case("C5")
@pytest.mark.parametrize(
    "tz, before, expected",
    [
        (
            "America/New_York",
            "2026-11-01T00:40",
            ["01:00-0400", "01:30-0400", "01:00-0500", "01:30-0500", "02:00-0500"],
        ),
        ("Australia/Lord_Howe", "2026-04-05T01:10", ["01:30+1100", "01:30+1030", "02:00+1030", "02:30+1030"]),
        ("UTC", "2026-10-25T00:40", ["01:00+0000", "01:30+0000", "02:00+0000"]),
    ],
)
def test_an_interval_fires_in_both_passes_of_a_repeated_hour(
    tz: str, before: str, expected: list[str]
) -> None:
    assert [each[3:] for each in local(tz, before, "*/30 * * * *", len(expected))] == expected


@pytest.mark.case("C5")
def test_seconds_count_like_minutes_and_hours() -> None:
    assert list(islice(fires(schedule("*/20 0 12 * * *"), datetime(2026, 1, 1, tzinfo=UTC)), 4)) == [
        datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 20, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 40, tzinfo=UTC),
        datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC),
    ]
    assert local("Europe/Berlin", "2026-10-25T01:00", "30 30 2 * * *", 2) == [
        "25 02:30+0200",
        "26 02:30+0100",
    ]


# --- C9: what is refused


@pytest.mark.case("C9")
@pytest.mark.parametrize(
    "expression, said",
    [
        ("0 0 31 2 *", "never fires"),
        ("0 0 30,31 2 *", "never fires"),
        ("60 * * * *", "the minute '60'"),
        ("* 24 * * *", "the hour '24'"),
        ("0 * * * * 8", "the day of week '8'"),
        ("* * 0 * *", "the day of month '0'"),
        ("* * * 13 *", "the month '13'"),
        ("*/0 * * * *", r"the minute '\*/0' has a step"),
        ("*/61 * * * *", r"the minute '\*/61' has a step"),
        ("* * * foo *", "the month 'foo'"),
        ("H * * * *", "the minute 'h'"),
        ("R * * * *", "the minute 'r'"),
        ("5-1-2 * * * *", "the minute '5-1-2'"),
        ("1,, * * * *", "the minute '1,,'"),
        ("0 3 * *", "five fields .* or six .*, got 4"),
        ("", "got 0"),
        ("* * * * * * *", "got 7"),
        ("@dayly", "did you mean '@daily'"),
        ("@reboot", "there are @yearly"),
        ("*" * 10_000, "at most 256 characters, got 10,000"),
        ("1," * 120 + "1 * * * x", "the day of week 'x'"),
        (None, "is text"),
    ],
)
def test_a_wrong_or_impossible_expression_is_refused_with_its_field(expression: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        schedule(expression)


@pytest.mark.case("C9")
@pytest.mark.parametrize("expression", ["0 0 31 2 *", "0 0 29 2 *", "* * * * *", "0 0 29 2 */7"])
def test_the_search_ends_soon(expression: str) -> None:
    def took() -> float:
        started_at = perf_counter()
        with suppress(ConfigError):
            schedule(expression, "America/New_York").next_fire(instant(datetime(2097, 1, 1, tzinfo=UTC)))
        return perf_counter() - started_at

    assert min(took() for _ in range(5)) < 0.010


@pytest.mark.case("C9")
def test_a_leap_day_beyond_five_years_is_not_found() -> None:
    assert schedule("0 0 29 2 *").next_fire(instant(datetime(2097, 1, 1, tzinfo=UTC))) is None


@pytest.mark.case("C8")
@pytest.mark.parametrize(
    "tz, said",
    [
        ("Europe/Pariss", "did you mean 'Europe/Paris'"),
        ("Nowhere/Land", "Nowhere/Land"),
        ("../etc/passwd", "no time zone"),
        ("", "no time zone"),
        ("a" * 1000, "no time zone"),
        (7, "no time zone 7"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(tz: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        schedule("@daily", tz)


@pytest.mark.parametrize("nickname", NICKNAMES)
def test_a_nickname_is_its_expression(nickname: str) -> None:
    after = datetime(2026, 5, 5, tzinfo=UTC)

    assert next(fires(schedule(nickname), after)) == next(fires(schedule(NICKNAMES[nickname]), after))


def test_names_of_days_and_months_and_the_last_day_are_known() -> None:
    after = datetime(2026, 1, 31, 12, tzinfo=UTC)

    assert next(fires(schedule("0 0 * FEB MON-FRI"), after)) == datetime(2026, 2, 2, tzinfo=UTC)
    assert next(fires(schedule("0 0 L * *"), after)) == datetime(2026, 2, 28, tzinfo=UTC)
    assert next(fires(schedule("0 0 ? * sun#2"), after)) == datetime(2026, 2, 8, tzinfo=UTC)


def test_days_of_month_and_week_are_alternatives_unless_one_starts_with_a_star() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)

    assert [each.day for each in islice(fires(schedule("0 0 13 * fri"), after), 4)] == [2, 9, 13, 16]
    assert [each.day for each in islice(fires(schedule("0 0 */13 * fri"), after), 2)] == [27, 27]


# --- start, end, jitter, ids


def test_nothing_fires_before_the_start_nor_after_the_end() -> None:
    start, end = datetime(2026, 1, 1, 10, tzinfo=UTC), datetime(2026, 1, 1, 12, tzinfo=UTC)
    hourly = schedule("@hourly", start=instant(start), end=instant(end))

    assert list(fires(hourly, datetime(2025, 1, 1, tzinfo=UTC))) == [start, start + timedelta(hours=1), end]


@given(st.integers(0, 10**13), st.floats(0, 1e6, allow_nan=False))
def test_a_jitter_is_the_same_everywhere_and_within_its_bound(at: int, jitter: float) -> None:
    delay = delay_of("nightly", Instant(at), jitter)

    assert delay == delay_of("nightly", Instant(at), jitter)
    assert 0 <= delay <= jitter * 1000


def test_jitter_spreads_entries_and_instants() -> None:
    ats = [Instant(1_767_225_600_000 + 60_000 * number) for number in range(1000)]
    delays = [delay_of("nightly", at, 60.0) for at in ats]

    assert 25_000 < sum(delays) / len(delays) < 35_000
    assert delays != [delay_of("weekly", at, 60.0) for at in ats]


def test_the_id_of_a_fire_says_which_entry_and_instant() -> None:
    at = instant(datetime(2026, 3, 29, 1, 0, 5, tzinfo=UTC))

    assert fire_id("app.nightly", at) == "cron:app.nightly:20260329T010005Z"


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["*/5 * * * *", "30 2 * * *", "0 0 1 * *", "*/7 */5 * * * *", "@yearly"]),
    st.integers(1_577_836_800, 1_798_761_600),
    st.integers(1, 10_000_000_000),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_newest_fire_is_the_last_one_before_the_next(
    tz: str, expression: str, after: int, span: int
) -> None:
    of, start = schedule(expression, tz), Instant(after * 1000)
    until = Instant(start + span)

    newest = of.newest_fire(start, until)

    first = of.next_fire(start)
    if newest is None:
        assert first is None or first > until
    else:
        following = of.next_fire(newest)
        assert start < newest <= until
        assert following is None or following > until
        assert newest == of.next_fire(Instant(newest - 1))


# --- C11: a slow oracle


_WHOLE = {0: range(60), 1: range(24), 2: range(1, 32), 3: range(1, 13), 4: range(8)}


@st.composite
def _fields(draw: st.DrawFn, place: int) -> str:
    whole = _WHOLE[place]
    numbers = st.integers(whole[0], whole[-1])
    match draw(st.sampled_from(["*", "*", "*/", "n", "n-m", "n-m/", "list"])):
        case "*":
            return "*"
        case "*/":
            return f"*/{draw(st.integers(1, 6 if place == 4 else len(whole) - 1))}"
        case "n":
            return str(draw(numbers))
        case "list":
            return ",".join(map(str, draw(st.lists(numbers, min_size=2, max_size=4))))
        case form:
            low, high = sorted((draw(numbers), draw(numbers)))
            return f"{low}-{high}" + (f"/{draw(st.integers(1, 7))}" if form.endswith("/") else "")


def _values(field: str, place: int) -> set[int]:
    whole = _WHOLE[place]
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        first, last = (whole[0], whole[-1]) if span == "*" else (int(low), int(high or low))
        values.update(range(first, last + 1, int(step or 1)))
    return {value % 7 for value in values} if place == 4 else values


class Oracle:
    """Looks at each minute of a zone, one after the other."""

    def __init__(self, expression: str, tz: str) -> None:
        fields = expression.split()
        self.minutes, self.hours, self._days, self._months, self._weekdays = (
            _values(field, place) for place, field in enumerate(fields)
        )
        self._elapsed = fields[0].startswith("*") or fields[1].startswith("*")
        self._both = fields[2].startswith("*") or fields[4].startswith("*")
        self._zone = ZoneInfo(tz)

    def fits(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self._months:
            return False
        by_day, by_week = wall.day in self._days, wall.isoweekday() % 7 in self._weekdays
        return (by_day and by_week) if self._both else (by_day or by_week)

    def fires(self, after: datetime, until: datetime) -> list[datetime]:
        at, found = after - DAY / 4, list[datetime]()
        furthest = at.astimezone(self._zone).replace(tzinfo=None)
        while at < until:
            at += MINUTE
            wall = at.astimezone(self._zone).replace(tzinfo=None)
            if self._elapsed:
                is_fire = self.fits(wall)
            else:
                is_fire = False
                while furthest < wall:
                    furthest += MINUTE
                    is_fire = self.fits(furthest) or is_fire
            if is_fire and at > after:
                found.append(at)
        return found


@cache
def _changes(tz: str) -> list[datetime]:
    zone, start = ZoneInfo(tz), datetime(2019, 1, 1, tzinfo=UTC)
    days = [start + DAY * number for number in range(365 * 9)]
    return [a for a, b in pairwise(days) if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset()]


@st.composite
def _places(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and a moment, more often than not near a change of its clocks."""
    tz = draw(st.sampled_from(ZONES))
    changes = _changes(tz)
    if changes and draw(st.integers(0, 3)):
        return tz, draw(st.sampled_from(changes)) + MINUTE * draw(st.integers(-600, 1500))
    return tz, datetime(2019, 1, 1, tzinfo=UTC) + MINUTE * draw(st.integers(0, 60 * 24 * 365 * 9))


@pytest.mark.case("C11")
@pytest.mark.timeout(240 if EXAMPLES < 1_000 else 1_200)  # 10,000 take two minutes
@given(st.tuples(*map(_fields, range(5))), _places())
@settings(max_examples=EXAMPLES, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_the_schedule_equals_a_scan_of_every_minute(
    fields: tuple[str, ...], place: tuple[str, datetime]
) -> None:
    (tz, after), expression = place, " ".join(fields)
    until = after + DAY
    try:
        of = schedule(expression, tz)
    except ConfigError:
        assert not any(_dates(Oracle(expression, tz)))
        return

    found = list(takewhile(lambda at: at <= until, fires(of, after)))

    assert found == Oracle(expression, tz).fires(after, until)


def _dates(oracle: Oracle) -> Iterator[bool]:
    """Whether a time of the day fits, day by day for five years."""
    time = timedelta(hours=min(oracle.hours), minutes=min(oracle.minutes))
    start = datetime(2000, 1, 1, tzinfo=UTC) + time
    return (oracle.fits(start + DAY * number) for number in range(365 * 5))


@pytest.mark.case("C11")
@pytest.mark.parametrize("tz", [zone for zone in ZONES if zone != "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "expression",
    ["30 1 * * *", "30 2 * * *", "0 0 * * *", "*/30 * * * *", "0 */2 * * *", "15 3 1 * *", "5 1-3 * * 0"],
)
def test_the_schedule_agrees_with_cronsim_where_that_is_right(tz: str, expression: str) -> None:
    zone = ZoneInfo(tz)
    for change in _changes(tz)[-2:] or [datetime(2026, 3, 1, tzinfo=UTC)]:
        after, until = change - 2 * DAY, change + 3 * DAY
        expected = [
            at.astimezone(UTC)
            for at in islice(CronSim(expression, after.astimezone(zone)), 400)
            if at.astimezone(UTC) <= until
        ]

        found = [at for at in islice(fires(schedule(expression, tz), after), 400) if at <= until]

        assert found == expected


@pytest.mark.parametrize("expression", ["6 2 6 11 */2", "0 0 * * *", "59 23 31 12 *"])
def test_a_schedule_ends_before_the_last_year_of_the_calendar(expression: str) -> None:
    of = schedule(expression, "Europe/Berlin")

    assert list(islice(fires(of, datetime(9999, 1, 2, tzinfo=UTC)), 3)) == []
