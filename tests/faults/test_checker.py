"""The checker of the kills is checked: a lawful history passes, and each planted fault is found."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from chaos.history import Call, Event, History, StoredJob
from chaos.laws import breaches
from chaos.store_laws import crons_fire_once, leases_are_alone, lost_leases_are_found, tokens_fence

WORKER = "host.77.abcd"
INSTANT = "20260101T000000Z"


def event(name: str, *own: Any, job_id: str = "a", counts: tuple[int, int, int] = (0, 0, 0)) -> Event:
    succeeded, failed, total = counts
    return Event(
        name=name,
        job_id=job_id,
        processed=succeeded + failed,
        total=total,
        succeeded=succeeded,
        failed=failed,
        own=own,
    )


STARTED = event("JobStarted", WORKER)


def run(token: int, *, pid: int = 77) -> dict[str, Any]:
    return {"id": "a", "token": token, "pid": pid, "at": float(token), "result": f"a:{token}"}


def stored(**changes: Any) -> StoredJob:
    """A job whose first worker was killed, that failed once, and then ended well."""
    job = StoredJob(
        id="a",
        type="work",
        status="completed",
        token=4,
        attempts=3,
        crashes=1,
        epoch=0,
        succeeded=0,
        failed=0,
        total=0,
        chunks=0,
        parent=None,
        result='"a:4"',
        reason=None,
        is_leased=False,
        failures=(),
    )
    return replace(job, **changes)


def imported(**changes: Any) -> StoredJob:
    counted: dict[str, Any] = {
        "status": "partial",
        "succeeded": 98,
        "failed": 2,
        "total": 100,
        "failures": (3, 7),
    }
    return stored(id="b", type="load", crashes=0, chunks=2, result=None, **{**counted, **changes})


def history() -> History:
    told = [
        event("JobCreated"),
        event("JobStarted", WORKER),
        event("LeaseLost", WORKER),
        event("JobRetrying", "the worker died", 0),
        event("JobStarted", WORKER),
        event("JobRetrying", "as planned", 0),
        event("JobStarted", WORKER),
        event("JobCompleted"),
    ]
    rows = [event("JobCreated", job_id="b"), event("JobCompleted", job_id="b", counts=(98, 2, 100))]
    return History(
        jobs={"a": stored(), "b": imported()},
        events={"a": told, "b": rows},
        asked={
            "a": {"id": "a", "type": "work", "failures": 1, "not_before": 1.02},
            "b": {"id": "b", "type": "load", "rows": 100, "bad": [3, 7]},
        },
        stored={"a", "b"},
        began={"a": [run(1), run(3), run(4)]},
        returned={"a": [run(4)]},
        deeds=[{"what": "kill", "pid": 77, "at": 1.0, "held": [("a", 1, 1)]}],
        reads=[seen(10, 1), seen(98, 2)],
        crons={"nightly": []},
    )


def seen(succeeded: int, failed: int, *, processed: int | None = None, total: int = 100) -> dict[str, Any]:
    both = succeeded + failed if processed is None else processed
    return {"id": "b", "processed": both, "total": total, "succeeded": succeeded, "failed": failed}


def with_job(**changes: Any) -> History:
    lawful = history()
    lawful.jobs["a"] = stored(**changes)
    return lawful


def with_import(**changes: Any) -> History:
    lawful = history()
    lawful.jobs["b"] = imported(**changes)
    return lawful


def changed(change: Callable[[History], object]) -> History:
    lawful = history()
    change(lawful)
    return lawful


def chunk(**counted: int) -> StoredJob:
    return stored(id="c", type="load", parent="b", **counted)


def fire(suffix: str = "") -> StoredJob:
    job_id = f"cron:nightly:{INSTANT}{suffix}"
    return stored(id=job_id, result=None, type="load")


def with_jobs(*jobs: StoredJob) -> History:
    lawful = history()
    lawful.jobs.update({job.id: job for job in jobs})
    return lawful


def call(verb: str, token: int, *, at: float = 1.0) -> Call:
    return Call(verb=verb, at=at, job_id="b", token=token, until=at + 10.0)


def with_calls(*calls: Call) -> History:
    first = [call("claimed", 1, at=0.0), call("settled", 1, at=0.5)]
    return replace(history(), calls=[*first, *calls], latest_rescue=2.0)


FAULTS: list[tuple[str, str, History]] = [
    ("an acknowledged job is gone", "lost", changed(lambda h: h.jobs.pop("a"))),
    ("an acknowledged job never ends", "lost", with_job(status="processing", is_leased=True)),
    ("a job that nobody asked for", "invented", changed(lambda h: h.asked.pop("a"))),
    ("a lease on a job that ended", "stuck", with_job(is_leased=True)),
    ("a job that began before it was due", "early", changed(lambda h: h.asked["a"].update(not_before=1.2))),
    ("two ends", "doubled", changed(lambda h: h.events["a"].append(event("JobCompleted")))),
    ("no end", "doubled", changed(lambda h: h.events["a"].pop())),
    (
        "a start after the end",
        "doubled",
        changed(lambda h: h.events["a"].append(event("JobStarted", WORKER))),
    ),
    ("the result of a stale run", "result", with_job(result='"a:1"')),
    ("a result that no run returned", "result", changed(lambda h: h.returned.clear())),
    ("an attempt counted twice", "attempts", with_job(attempts=4)),
    ("a crash counted as a failure", "attempts", with_job(crashes=0)),
    ("a crash without a lost lease", "crashes", changed(lambda h: h.events["a"].pop(2))),
    ("a lease lost by a healthy worker", "unexplained", changed(lambda h: h.deeds.clear())),
    ("two runs under one token", "tokens", changed(lambda h: h.began["a"].append(run(4)))),
    ("a token that was never given", "tokens", changed(lambda h: h.began["a"].append(run(9)))),
    ("tokens that fall", "tokens", changed(lambda h: h.began["a"].append(run(2)))),
    ("processed beyond the total", "counters", changed(lambda h: h.reads.append(seen(100, 2)))),
    (
        "processed that doesn't add up",
        "counters",
        changed(lambda h: h.reads.append(seen(98, 2, processed=99))),
    ),
    ("processed that falls", "counters", changed(lambda h: h.reads.append(seen(50, 1)))),
    ("a chunk counted twice", "counters", with_import(succeeded=148, total=150)),
    ("a failed row that is not told", "counters", with_import(failures=(3,))),
    ("a job claimed twice at once", "runs", changed(lambda h: h.events["a"].insert(1, STARTED))),
    ("a run that nobody claimed", "runs", changed(lambda h: h.began["a"].append(run(5)))),
    ("rows that no handler returned", "result", with_jobs(chunk(succeeded=5))),
    ("a stale write that was accepted", "tokens", with_calls(call("claimed", 2), call("settled", 1))),
    ("a stale renewal that was accepted", "tokens", with_calls(call("claimed", 2), call("extended", 1))),
    ("a token left out", "tokens", with_calls(call("claimed", 3))),
    ("two leases at once", "leases", with_calls(call("claimed", 2), call("rescued", 3, at=4.0))),
    ("a lease that nobody rescued", "leases", with_calls(call("claimed", 2), call("recorded", 2, at=40.0))),
    ("a lease rescued too late", "leases", with_calls(call("claimed", 2), call("rescued", 3, at=20.0))),
    ("an instant fired twice", "cron", with_jobs(fire("-1"), fire("-2"))),
    ("an instant that never fired", "cron", changed(lambda h: h.crons.update(nightly=[INSTANT]))),
    ("a broken file", "file", replace(history(), integrity="row 7 missing from index")),
]


def test_a_lawful_history_passes() -> None:
    assert breaches(history()) == []


def test_lawful_calls_and_fires_pass() -> None:
    late = call("settled", 2, at=12.5)
    lawful = with_calls(call("claimed", 2), call("extended", 2, at=4.0), call("recorded", 2, at=5.0), late)
    lawful.jobs.update(with_jobs(fire()).jobs)
    lawful.crons["nightly"].append(INSTANT)

    laws = (tokens_fence, leases_are_alone, lost_leases_are_found, crons_fire_once)
    assert [breach for law in laws for breach in law(lawful)] == []


def test_a_worker_that_was_stopped_may_begin_a_run_too_late() -> None:
    late = history()
    late.deeds.append({"what": "stop", "pid": 78, "at": 1.0, "seconds": 3.0})
    late.began["a"] = [run(1), run(4), run(3, pid=78)]

    assert breaches(late) == []


@pytest.mark.parametrize(
    "law, faulty", [(law, faulty) for _, law, faulty in FAULTS], ids=[name for name, _, _ in FAULTS]
)
def test_a_planted_fault_is_found(law: str, faulty: History) -> None:
    assert law in {breach.law for breach in breaches(faulty)}
