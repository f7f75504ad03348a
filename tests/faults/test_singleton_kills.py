"""A lock among processes: renewed as long as its holder lives, taken over when that is killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import singleton_program

PROGRAM = Path(singleton_program.__file__)


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.db"
    return str(request.getfixturevalue("valkey_url"))


@contextmanager
def program(url: str, role: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), url, role], stdout=subprocess.PIPE, text=True
    ) as made:
        try:
            yield made
        finally:
            made.kill()


def heard(made: subprocess.Popen[str]) -> list[str]:
    assert made.stdout is not None
    return made.stdout.readline().split()


@pytest.mark.seed("DJ-103")
@pytest.mark.timeout(60)
def test_a_lock_outlasts_its_lease_while_its_holder_lives_and_not_its_death(url: str) -> None:
    with program(url, "first") as first:
        word, token, owner = heard(first)
        assert (word, token) == ("token", "1")
        with program(url, "second") as second:
            assert heard(second) == ["held", owner]
            first.kill()
            word, token, other = heard(second)

    assert (word, token) == ("token", "2")
    assert other != owner
