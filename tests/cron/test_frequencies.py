from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from aiojobs_engine.core import frequencies as every
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.instant import instant, moment
from aiojobs_engine.core.schedule import CronSpec, Schedule


@pytest.mark.parametrize(
    "expression, expected",
    [
        (every.every_seconds(15), "*/15 * * * * *"),
        (every.every_minutes(5), "*/5 * * * *"),
        (every.every_hours(6, at=30), "30 */6 * * *"),
        (every.hourly(at=15), "15 * * * *"),
        (every.hourly(between=(9, 17)), "0 9-17 * * *"),
        (every.daily("03:00"), "0 3 * * *"),
        (every.daily("03:00:30"), "30 0 3 * * *"),
        (every.weekdays("09:00"), "0 9 * * 1-5"),
        (every.weekends("09:05"), "5 9 * * 6,0"),
        (every.weekly("mon", "09:00"), "0 9 * * 1"),
        (every.weekly(["Tuesday", "thu"]), "0 0 * * 2,4"),
        (every.monthly(1, "02:00"), "0 2 1 * *"),
        (every.monthly([15, -1]), "0 0 15,L * *"),
        (every.quarterly(), "0 0 1 1,4,7,10 *"),
        (every.yearly(12, 24, "18:00"), "0 18 24 12 *"),
    ],
)
def test_a_frequency_is_an_expression_that_fires(expression: str, expected: str) -> None:
    assert expression == expected
    assert Schedule(CronSpec(expression=expression)).next_fire(instant(datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: every.every_minutes(7),
        lambda: every.every_minutes(0),
        lambda: every.every_hours(25),
        lambda: every.hourly(at=60),
        lambda: every.daily("3"),
        lambda: every.daily("25:00"),
        lambda: every.daily("03:00:60"),
        lambda: every.weekly("funday"),
        lambda: every.weekly([]),
        lambda: every.monthly(32),
        lambda: every.monthly([]),
        lambda: every.yearly(13),
    ],
)
def test_a_frequency_that_does_not_exist_is_refused(make: Callable[[], str]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_the_last_day_of_a_month_is_found_beside_others() -> None:
    schedule = Schedule(CronSpec(expression=every.monthly([15, -1])))
    first = schedule.next_fire(instant(datetime(2026, 2, 1, tzinfo=UTC)))
    assert first is not None
    second = schedule.next_fire(first)

    assert second is not None
    assert (moment(first).day, moment(second).day) == (15, 28)
