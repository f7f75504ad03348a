"""X19: canaries planted in payloads, errors, URLs and results are found in nothing that is shown."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aiojobs_engine import Discard, Engine, ExecutionRecord, JobContext, JobEvent, Retry, Secret
from aiojobs_engine.core import metrics
from aiojobs_engine.core.metrics import CATALOGUE
from aiojobs_engine.events.listeners.broadcast import Channel, Hub
from aiojobs_engine.events.listeners.notify import body_of
from aiojobs_engine.telemetry.collectors import InMemoryCollector
from aiojobs_engine.telemetry.tracing import OtelTracing

CANARY = "c4n4rYw1thT33th"
TOKEN = f"ghp_{CANARY * 3}"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI{CANARY}.{CANARY * 3}"
URLS = f"redis://:{CANARY}@h1;postgres://app:{CANARY}@h2/db"
PEM = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----"
PLANTED = f"{TOKEN} {JWT} Bearer {CANARY * 2} {URLS} {PEM} password={CANARY}"

APP = f"""
from aiojobs_engine import Discard, Engine, JobContext, Retry, Secret

engine = Engine("sqlite:///jobs.db", config={{"execution_log": {{"handlers": ["file", "database"]}}}})
PLANTED = {PLANTED!r}


@engine.job(name="leaks", retry=Retry.fixed(2, 0.0))
async def leaks(ctx: JobContext, text: str, password: str, nested: dict, key: Secret[str]) -> None:
    await ctx.progress(1, 2, message=f"connected to {{text}}")
    ctx.logger.warning("about to fail with %s", text)
    try:
        raise ConnectionError(text)
    except ConnectionError as error:
        raise RuntimeError(f"{{PLANTED}} {{nested}} {{key}}") from error


@engine.job(name="returns")
async def returns() -> dict:
    return {{"token": PLANTED, "text": PLANTED, "list": [PLANTED]}}


@engine.job(name="gives_up")
async def gives_up() -> None:
    raise Discard(PLANTED)
"""
ARGUMENTS = {
    "text": PLANTED,
    "password": CANARY,
    "nested": {"api_key": CANARY, "deep": [{"Authorization": CANARY}], TOKEN: 1},
    "key": {"$secret": CANARY},
}


def cli(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "aiojobs_engine", *words],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}{os.pathsep}."},
    )
    return done.stdout + done.stderr


@pytest.mark.case("X19")
@pytest.mark.timeout(240)
def test_no_canary_is_found_in_what_the_command_line_the_worker_and_the_log_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    leaking = cli("dispatch", "app:engine", "leaks", json.dumps(ARGUMENTS)).strip()
    returning = cli("dispatch", "app:engine", "returns").strip()
    giving_up = cli("dispatch", "app:engine", "gives_up").strip()
    shown = [cli("worker", "app:engine", "--burst", "-vv")]
    for job_id in (leaking, returning, giving_up):
        shown += [
            cli("jobs", "show", "app:engine", job_id),
            cli("jobs", "show", "app:engine", job_id, "--json"),
        ]
    shown += [cli("dead", "show", "app:engine", leaking)]
    shown += [
        cli(*words, "app:engine", *more)
        for words in (["jobs", "list"], ["dead", "list"], ["events"])
        for more in ([], ["--json"])
    ]
    shown += [cli("dispatch", "app:engine", "nothing", json.dumps(ARGUMENTS))]
    shown += [cli("jobs", "list", "--url", f"redis://:{CANARY}@127.0.0.1:1/0")]
    with (tmp_path / "aiojobs.toml").open("w") as file:
        file.write('execution_log.handlers = ["database"]')
    shown += [cli("executions", "--url", "sqlite:///jobs.db", *more) for more in ([], ["--json"])]
    written = "".join(path.read_text() for path in (tmp_path / "aiojobs-executions").iterdir())

    assert '"status":"failed"' in written
    assert '"status": "failed"' in shown[-1]
    assert "RuntimeError" in "".join(shown)
    assert all("Traceback" not in text or "RuntimeError" in text for text in shown)
    assert [text for text in (*shown, written) if CANARY in text] == []


@pytest.mark.case("X19")
async def test_no_canary_is_found_in_statuses_events_listeners_spans_figures_and_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    shown: list[str] = []
    figures = InMemoryCollector()
    config = {"listeners": {"notify": True}, "execution_log": {"handlers": ["database", "own"]}}
    engine = Engine("sqlite:///jobs.db", metrics=figures, config=config)
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    _follow_with(monkeypatch, provider)
    caplog.set_level(logging.INFO, "aiojobs_engine")

    @engine.job(name="leaks", retry=Retry.none())
    async def leaks(ctx: JobContext, text: str, key: Secret[str]) -> None:
        await ctx.progress(1, 2, message=text)
        raise ExceptionGroup(text, [ValueError(text), OSError(f"{key} {text}")])

    @engine.job(name="gives_up")
    async def gives_up() -> None:
        raise Discard(PLANTED)

    @engine.on()
    async def hear(event: JobEvent) -> None:
        shown.append(f"{event!r} {msgspec.json.encode(event)!r}")

    @engine.recipients
    async def by_webhook(event: JobEvent) -> list[object]:
        shown.append(body_of(event).decode())
        notified.set()
        return []

    @engine.execution_handler("own")
    async def own(records: Sequence[ExecutionRecord]) -> None:
        shown.extend(f"{each!r}" for each in records)

    notified = asyncio.Event()
    async with engine.running():
        hub = Hub(engine.store, engine.clock, engine.settings)
        async with hub.connected([Channel("all")]) as client:
            handles = [
                await engine.dispatch(leaks.options(meta={"password": "m"}), PLANTED, key=Secret(CANARY)),
                await engine.dispatch(gives_up),
            ]
            for handle in handles:
                with pytest.raises(Exception, match=r"failed|discarded") as raised:
                    await handle.result(timeout=20)
                shown.append(f"{raised.value!r}")
                status = await handle.status()
                shown.append(f"{status.error!r} {status.message!r}")
            shown += [frame.data.decode() for frame in await client.next(1)]
        await asyncio.wait_for(notified.wait(), 20)
        stored, _ = await engine.store.read(None, 1000)
        shown.append(repr(stored))
    async with engine:
        history = await engine.executions.history()
    shown.append(repr(history))
    shown += [repr(figures.numbers(metric)) + repr(figures.histograms(metric)) for metric in CATALOGUE]
    provider.shutdown()
    shown += [span.to_json() for span in exporter.get_finished_spans()]
    shown.append(caplog.text)

    assert len(exporter.get_finished_spans()) > 1
    assert {record.type for record in history} == {"leaks", "gives_up"}
    assert any('"event":"JobFailed"' in text for text in shown)
    assert figures.value(metrics.FAILURES) == 1
    assert "failed" in caplog.text
    assert len(shown) > 10
    assert [text for text in shown if CANARY in text] == []


def _follow_with(monkeypatch: pytest.MonkeyPatch, provider: TracerProvider) -> None:
    find: Callable[..., Any] = lambda settings: lambda: tracing  # noqa: E731 - it is what the engine calls
    monkeypatch.setattr("opentelemetry.trace.get_tracer", lambda *names, **_: provider.get_tracer(names[0]))
    tracing = OtelTracing(url="sqlite:///jobs.db", parenting="link", settlements=True)
    monkeypatch.setattr("aiojobs_engine.lifetime.session.find_tracing", find)
