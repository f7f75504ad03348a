"""Workers beside a collector of OpenTelemetry: all signals arrive, the last too; without it jobs go on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aiojobs_engine import Engine
from tests.telemetry.collector import collecting, told

CANARY = "c4n4rYw1thT33th"
APP = f"""
from aiojobs_engine import Engine, JobContext, Retry

engine = Engine("sqlite:///jobs.db")


@engine.job(name="work")
async def work(ctx: JobContext) -> None:
    ctx.logger.warning("password={CANARY} was used")


@engine.job(name="fails", retry=Retry.none())
async def fails(ctx: JobContext, password: str) -> None:
    raise ValueError("password={CANARY}")
"""


def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of OpenTelemetry in its environment but what is given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-m", "aiojobs_engine", *words],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
        env={**inherited, **environment},
    )


def work_off(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run a worker until nothing is left to do."""
    return call("worker", "app:engine", "--burst", **environment)


@pytest.fixture(autouse=True)
async def _app(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    async with Engine("sqlite:///jobs.db") as engine:
        await engine.dispatch(engine.named("work").options(queue="default").job())
        await engine.dispatch(engine.named("fails").options(queue="default").job(password=CANARY))


@pytest.mark.case("X19")
def test_traces_metrics_and_logs_of_a_worker_arrive_with_its_name_and_no_secret() -> None:
    with collecting() as collector:
        ran = work_off(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_SERVICE_NAME="shop-jobs",
        )

    names = {span.name for span in collector.spans}
    assert names >= {"process default", "ack default", "dead_letter default"}
    metrics = {metric.name for metric in collector.metrics}
    assert metrics >= {"messaging.process.duration", "aiojobs_engine.job.completed"}
    assert {resource["service.name"] for resource in collector.resources} == {"shop-jobs"}
    assert all(resource["service.instance.id"] for resource in collector.resources)
    (line,) = [record for record in collector.logs if "was used" in record.body.string_value]
    (run,) = [span for span in collector.spans if line.span_id == span.span_id]
    facts = told(line.attributes)
    assert (line.severity_text, line.trace_id) == ("WARNING", run.trace_id)
    assert (facts["job_type"], facts["attempt"]) == ("work", 1)
    assert facts["job_id"] == told(run.attributes)["messaging.message.id"]
    assert line.body.string_value == "password=*** was used"
    assert CANARY.encode() not in collector.raw
    assert "opentelemetry" not in ran.stderr


def test_a_signal_that_is_not_wanted_is_not_sent() -> None:
    with collecting() as collector:
        work_off(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_LOGS_EXPORTER="none",
            OTEL_METRICS_EXPORTER="none",
        )

    assert collector.spans
    assert (collector.logs, collector.metrics) == ([], [])


def test_a_collector_that_is_away_delays_no_job_and_is_told_of_once() -> None:
    ran = work_off(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )

    assert len(re.findall("can't be sent", ran.stderr)) == 1
    assert "opentelemetry." not in ran.stderr
    listed = call("jobs", "list", "--url", "sqlite:///jobs.db", "--json").stdout
    assert sorted(re.findall(r'"status": "(\w+)"', listed)) == ["completed", "failed"]


def test_nothing_is_imported_or_sent_where_the_environment_switches_it_off() -> None:
    with collecting() as collector:
        ran = work_off(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_SDK_DISABLED="true",
            PYTHONPROFILEIMPORTTIME="1",
        )

    assert "aiojobs_engine.telemetry.detection" in ran.stderr
    assert "opentelemetry" not in ran.stderr
    assert collector.raw == b""
