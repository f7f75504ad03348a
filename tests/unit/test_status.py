import pytest

from aiojobs_engine.core.status import Counters, eta_seconds


def test_processed_is_what_succeeded_and_what_failed() -> None:
    assert Counters(succeeded=3, failed=2, skipped=1, total=9).processed == 5


@pytest.mark.parametrize(
    "counters, running, left",
    [
        (Counters(5, 0, 0, 10), 20.0, 20.0),
        (Counters(5, 5, 0, 10), 20.0, 0.0),
        (Counters(1, 0, 0, 4), 1.0, 3.0),
        (Counters(0, 0, 0, 10), 20.0, None),
        (Counters(5, 0, 0, 10), None, None),
        (Counters(5, 0, 0, 10), 0.0, None),
        (Counters(5, 0, 0, 10), -3.0, None),
    ],
)
def test_the_time_left_follows_the_average_rate(
    counters: Counters, running: float | None, left: float | None
) -> None:
    assert eta_seconds(counters, running_seconds=running) == left
