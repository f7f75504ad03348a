from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiojobs_engine.core.instant import Instant, instant, later, moment

instants = st.integers(-62_000_000_000_000, 250_000_000_000_000).map(Instant)


@given(instants)
def test_an_instant_survives_the_way_through_a_datetime(at: Instant) -> None:
    assert instant(moment(at)) == at


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_datetime_loses_less_than_a_millisecond(at: datetime) -> None:
    assert timedelta(0) <= at - moment(instant(at)) < timedelta(milliseconds=1)


def test_the_zone_does_not_matter() -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    assert instant(at) == instant(datetime(2026, 7, 1, 10, tzinfo=UTC))


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="tzinfo=UTC"):
        instant(datetime(2026, 7, 1, 12))  # noqa: DTZ001 - that is the point


@given(st.integers(0, 2**53 - 1).map(Instant), st.floats(allow_nan=False))
def test_no_delay_leads_out_of_range(start: Instant, seconds: float) -> None:
    assert 0 <= later(start, seconds) <= 2**53 - 1


def test_a_delay_counts_in_milliseconds() -> None:
    assert later(Instant(1000), 1.5) == 2500
    assert later(Instant(1000), -0.5) == 500


@pytest.mark.parametrize("year, at", [(9999, 2**53 - 1), (1, -(2**53)), (9999, 10**30)])
def test_an_instant_that_no_datetime_can_show_is_the_first_or_last_one(year: int, at: int) -> None:
    assert moment(at).year == year
