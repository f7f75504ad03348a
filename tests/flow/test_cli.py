"""The command line of flow control."""

import asyncio
import json

import pytest

from aiojobs_engine import Engine
from aiojobs_engine.cli.main import run


@pytest.fixture
def url() -> list[str]:
    asyncio.run(made("sqlite:///jobs.db"))
    return ["--url", "sqlite:///jobs.db"]


async def made(url: str) -> None:
    async with Engine(url):
        pass


def test_limits_are_set_listed_and_reset(url: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["limits", "set", "mail", "--concurrency", "5", "--rate", "100/minute", *url]) == 0
    assert run(["limits", "set", "mail", "--type", "send", "--by-key", "--concurrency", "1", *url]) == 0
    capsys.readouterr()
    assert run(["limits", "list", "--json", *url]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(each["type"], each["by_key"], each["rate"]) for each in listed] == [
        (None, False, "100/minute"),
        ("send", True, None),
    ]
    assert run(["limits", "list", *url]) == 0
    assert "each key" in capsys.readouterr().out

    assert run(["limits", "reset", "mail", *url]) == 0
    assert run(["limits", "reset", "mail", "--type", "send", "--by-key", *url]) == 0
    capsys.readouterr()
    run(["limits", "list", *url])
    assert "no limits" in capsys.readouterr().err


def test_a_limit_that_says_nothing_is_wrong_usage(url: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["limits", "set", "mail", *url]) == 2
    assert "needs concurrency or rate_limit" in capsys.readouterr().err
