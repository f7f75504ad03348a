"""`cron` on the command line."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant, instant
from aiojobs_engine.core.schedule import CronSpec
from aiojobs_engine.ports.cron import CronEntry, Fire
from aiojobs_engine.testing.clock import ManualClock
from tests.cli.conftest import Call, call, home

__all__ = ["call", "home"]

URL = ("--url", "sqlite:///jobs.db")
APP = """
from aiojobs_engine import Engine

engine = Engine("sqlite:///jobs.db", config={"listeners": {"log": False}})


@engine.cron("30 3 * * *", tz="Europe/Paris", name="nightly")
async def nightly() -> None: ...
"""


@pytest.fixture(autouse=True)
def _cron_app(home: Path) -> None:
    (home / "cronapp.py").write_text(APP)


def test_entries_are_listed_and_previewed(call: Call) -> None:
    assert "nightly  30 3 * * *  Europe/Paris  nightly  on" in call("cron", "list", "cronapp:engine").out
    (entry,) = json.loads(call("cron", "list", "cronapp:engine", "--json").out)
    assert (entry["name"], entry["enabled"], entry["last"]) == ("nightly", True, None)

    lines = call("cron", "preview", "cronapp:engine", "nightly", "-n", "3").out.splitlines()
    assert [line[11:19] for line in lines] == ["03:30:00"] * 3
    assert len(json.loads(call("cron", "preview", "cronapp:engine", "nightly", "--json").out)) == 5


def test_an_entry_runs_now_and_is_history(call: Call) -> None:
    job_id = call("cron", "run", "cronapp:engine", "nightly").out.strip()

    assert job_id.startswith("cron:nightly:")
    (fire,) = json.loads(call("cron", "history", *URL, "nightly", "--json").out)
    assert (fire["job_id"], fire["outcome"], fire["status"]) == (job_id, "by_hand", "pending")
    assert job_id in call("cron", "history", *URL, "nightly").out


def test_entries_are_disabled_and_enabled_by_name_and_all(call: Call) -> None:
    assert call("cron", "disable", "cronapp:engine", "nightly").err == "cron entry nightly is disabled\n"
    assert "disabled" in call("cron", "list", *URL).out
    assert call("cron", "enable", *URL, "--all").err == "1 cron entries are enabled\n"
    assert call("cron", "enable", *URL, "nightly", "--all").code == 2
    assert call("cron", "disable", *URL).code == 2


def test_unknown_entries_and_wrong_calls_are_one_line(call: Call) -> None:
    answer = call("cron", "run", "cronapp:engine", "nightlie")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "did you mean 'nightly'" in answer.err
    assert call("cron", "history", "cronapp:engine", "a", "b").code == 2
    assert "stands in code" in call("cron", "remove", "cronapp:engine", "nightly").err


def test_what_an_entry_waits_for_stands_in_its_history_and_list(call: Call, home: Path) -> None:
    asyncio.run(_skip_a_fire(home / "jobs.db"))

    assert "skipped: waits for extract" in call("cron", "history", *URL, "load").out
    (fire,) = json.loads(call("cron", "history", *URL, "load", "--json").out)
    assert (fire["outcome"], fire["waits_for"]) == ("skipped", "extract")
    listed = call("cron", "list", *URL)
    assert "broken" in listed.out
    assert listed.err == "load: it waits for 'extract', which is no entry\n"


async def _skip_a_fire(database: Path) -> None:
    store = SqliteBackend(database, clock=ManualClock())
    await store.open()
    job = Envelope(id="", type="work", payload=msgspec.Raw(b"{}"), created_at=Instant(0))
    entry = CronEntry(name="load", spec=CronSpec(expression="@daily"), job=job, depends_on=("extract",))
    await store.put_crons([entry])
    at = instant(datetime(2100, 1, 1, tzinfo=UTC))
    await store.fire([Fire(name="load", revision=entry.revision, at=at, job=None, waits_for="extract")])
    await store.close()
