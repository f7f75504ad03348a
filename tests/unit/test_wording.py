import pytest

from aiojobs_engine.core.wording import counted


@pytest.mark.parametrize(
    "number, thing, said",
    [(0, "job", "0 jobs"), (1, "job", "1 job"), (2_000, "row", "2,000 rows"), (2, "process", "2 processes")],
)
def test_one_thing_is_told_as_one(number: int, thing: str, said: str) -> None:
    assert counted(number, thing) == said
