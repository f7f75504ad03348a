"""The laws that a history has to keep, each a function that yields its breaches."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise

from chaos.breach import Breach
from chaos.history import FINAL, TERMINAL, History, StoredJob
from chaos.journal import MOST_ATTEMPTS, MOST_CRASHES
from chaos.store_laws import crons_fire_once, fired, leases_are_alone, lost_leases_are_found, tokens_fence

_BULK = "load"
_SKEW = 0.05
"""Seconds between taking down the time and dispatching."""


Law = Callable[[History], Iterator[Breach]]


def breaches(history: History) -> list[Breach]:
    """All breaches of all laws."""
    return [breach for law in LAWS for breach in law(history)]


def nothing_is_lost(history: History) -> Iterator[Breach]:
    """Every job that was acknowledged is there, and has ended."""
    for job_id in sorted(history.stored):
        job = history.jobs.get(job_id)
        if job is None:
            yield Breach("lost", job_id, "acknowledged, and not in the database")
        elif job.status not in FINAL:
            yield Breach("lost", job_id, f"acknowledged, and still {job.status} when all was quiet")


def nothing_is_invented(history: History) -> Iterator[Breach]:
    """Every job was asked for, is a chunk of one that was, or of a cron entry.

    A dispatch that raised stored one or none.
    """
    for job in history.jobs.values():
        if (job.parent or job.id) not in history.asked and fired(history, job.id) is None:
            yield Breach("invented", job.id, "nobody asked for it")
        if job.status not in FINAL and job.id not in history.stored:
            yield Breach("stuck", job.id, f"still {job.status} when all was quiet")
        if job.is_leased and job.status != "processing":
            yield Breach("stuck", job.id, f"{job.status}, and under a lease")


def nothing_runs_early(history: History) -> Iterator[Breach]:
    """No job began before it was due."""
    for job_id, runs in history.began.items():
        due = history.asked.get(job_id, {}).get("not_before")
        if due is not None and (first := min(run["at"] for run in runs)) < due - _SKEW:
            yield Breach("early", job_id, f"began {due - first:.3f} s before it was due")


def nothing_ends_twice(history: History) -> Iterator[Breach]:
    """A job that has ended tells so by one event, the last one."""
    for job in history.jobs.values():
        told = [event.name for event in history.events.get(job.id, ())]
        ends = [name for name in told if name in TERMINAL]
        if job.epoch == 0 and job.status in FINAL and len(ends) != 1:
            yield Breach("doubled", job.id, f"{len(ends)} ends in one epoch: {told}")
        elif ends and told[-1] not in TERMINAL:
            yield Breach("doubled", job.id, f"went on after its end: {told}")


def results_are_of_the_accepted_run(history: History) -> Iterator[Breach]:
    """What a job returned was returned by the run whose token the store accepted last."""
    for job in _plain(history):
        if job.status != "completed":
            continue
        result = f"{job.id}:{job.token}"
        if job.result is None or json.loads(job.result) != result:
            yield Breach("result", job.id, f"holds {job.result}, token {job.token} would be {result!r}")
        if not any(run["result"] == result for run in history.returned.get(job.id, ())):
            yield Breach("result", job.id, f"no run returned {result!r}")


def rows_went_through_a_handler(history: History) -> Iterator[Breach]:
    """A chunk counted good rows because the run with its last token returned."""
    for job in history.jobs.values():
        if job.parent is None or not job.succeeded or job.epoch:
            continue
        if not any(run["token"] == job.token for run in history.returned.get(job.id, ())):
            yield Breach("result", job.id, f"{job.succeeded} good rows, and no run {job.token} returned")


def runs_are_explained(history: History) -> Iterator[Breach]:
    """A job runs once, and again only after it was told to retry or was handed back."""
    for job_id, runs in history.began.items():
        told = [event.name for event in history.events.get(job_id, ())]
        granted = told.count("JobStarted")
        again = told.count("JobRetrying") + told.count("JobInterrupted")
        if len(runs) > granted or granted > 1 + again:
            yield Breach("runs", job_id, f"{len(runs)} runs by {granted} claims, of which {again} came back")


def attempts_are_exact(history: History) -> Iterator[Breach]:
    """A job's attempts are its runs that the store accepted and counted, as its events tell them."""
    for job in history.jobs.values():
        if job.chunks or job.status not in FINAL:
            continue
        told = history.events.get(job.id, ())
        counted = sum(event.name == "JobRetrying" and event.own[:1] not in {(), ("",)} for event in told)
        counted += sum(event.name in {"JobCompleted", "JobFailed"} for event in told)
        if job.attempts != counted:
            yield Breach("attempts", job.id, f"{job.attempts} attempts, its events tell {counted}")


def plans_come_true(history: History) -> Iterator[Breach]:
    """A plain job fails as often as it was told to, and no more; only crashes may come in between."""
    for job in _plain(history):
        if job.status not in FINAL or job.id not in history.asked:
            continue
        failures = history.asked[job.id]["failures"]
        if job.crashes >= MOST_CRASHES:
            expected: tuple[str, str | None, int] = ("failed", "crashed_worker", job.attempts)
        elif failures >= MOST_ATTEMPTS:
            expected = ("failed", "max_attempts", MOST_ATTEMPTS + job.crashes)
        else:
            expected = ("completed", None, failures + 1 + job.crashes)
        if (job.status, job.reason, job.attempts) != expected:
            found = (job.status, job.reason, job.attempts)
            yield Breach("attempts", job.id, f"{found} after {job.crashes} crashes, expected {expected}")


def crashes_are_explained(history: History) -> Iterator[Breach]:
    """Every crash that a job was charged has a lost lease, and every lost lease a worker that was struck."""
    struck = {str(deed["pid"]) for deed in history.deeds}
    for job in history.jobs.values():
        lost = [event for event in history.events.get(job.id, ()) if event.name == "LeaseLost"]
        if job.crashes > len(lost):
            yield Breach("crashes", job.id, f"{job.crashes} crashes, {len(lost)} lost leases")
        for event in lost:
            if event.own[0] is None or event.own[0].split(".")[-2] not in struck:
                yield Breach("unexplained", job.id, f"lost by {event.own[0]}, which nobody had struck")


def tokens_rise(history: History) -> Iterator[Breach]:
    """No two runs of a job share a token, none has one that the store never gave, and they rise in time.

    A worker that was stopped may begin a run after its lease was lost: its runs need not rise.
    """
    stopped = {deed["pid"] for deed in history.deeds if deed["what"] == "stop"}
    for job_id, runs in history.began.items():
        tokens = [run["token"] for run in runs]
        job = history.jobs.get(job_id)
        if len(set(tokens)) != len(tokens) or (job is not None and max(tokens) > job.token):
            last = job and job.token
            yield Breach("tokens", job_id, f"runs under the tokens {tokens}, the last one given is {last}")
        if any(
            after <= before
            for before, after in pairwise(run["token"] for run in runs if run["pid"] not in stopped)
        ):
            yield Breach("tokens", job_id, f"the tokens of its runs don't rise: {tokens}")


def counters_are_lawful(history: History) -> Iterator[Breach]:
    """At each read and event processed is succeeded + failed and at most the total; imports never go back."""
    last: dict[str, int] = {}
    for seen in history.reads:
        if not 0 <= seen["succeeded"] + seen["failed"] == seen["processed"] <= seen["total"]:
            yield Breach("counters", seen["id"], f"seen as {seen}")
        if seen["processed"] < last.get(seen["id"], 0):
            yield Breach(
                "counters", seen["id"], f"processed fell from {last[seen['id']]} to {seen['processed']}"
            )
        last[seen["id"]] = seen["processed"]
    for events in history.events.values():
        for event in events:
            if not 0 <= event.succeeded + event.failed == event.processed <= event.total:
                yield Breach("counters", event.job_id, f"told as {event}")


def imports_are_exact(history: History) -> Iterator[Breach]:
    """An import counted each row once, and its failed rows are those that were bad.

    One of which a chunk is out of crashes has lost that chunk's rows, so only its sum is known.
    """
    buried = {job.parent or job.id for job in history.jobs.values() if job.reason == "crashed_worker"}
    for job_id, asked in history.asked.items():
        job = history.jobs.get(job_id)
        if asked["type"] != _BULK or job is None or job.status not in FINAL:
            continue
        if job_id in buried:
            if job.succeeded + job.failed != job.total:
                yield Breach("counters", job_id, f"{job} doesn't add up")
            continue
        rows, bad = asked["rows"], tuple(asked["bad"])
        expected = ("partial", rows - len(bad), len(bad), rows)
        if (job.status, job.succeeded, job.failed, job.total) != expected or job.failures != bad:
            yield Breach("counters", job_id, f"{job}, expected {expected} and the failed rows {bad}")


def the_file_is_whole(history: History) -> Iterator[Breach]:
    """SQLite finds nothing wrong with its file; every job of Redis stands in one place, and is counted."""
    if history.integrity != "ok":
        yield Breach("file", "", history.integrity)


LAWS: tuple[Law, ...] = (
    nothing_is_lost,
    nothing_is_invented,
    nothing_runs_early,
    nothing_ends_twice,
    results_are_of_the_accepted_run,
    rows_went_through_a_handler,
    runs_are_explained,
    attempts_are_exact,
    plans_come_true,
    crashes_are_explained,
    tokens_rise,
    counters_are_lawful,
    imports_are_exact,
    the_file_is_whole,
    tokens_fence,
    leases_are_alone,
    lost_leases_are_found,
    crons_fire_once,
)


def _plain(history: History) -> Iterator[StoredJob]:
    return (job for job in history.jobs.values() if job.type != _BULK)
