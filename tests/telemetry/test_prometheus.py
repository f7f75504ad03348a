"""What Prometheus reads: the text, and the server that shows it."""

import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiojobs_engine.core import metrics
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.telemetry.collectors import InMemoryCollector
from aiojobs_engine.telemetry.prometheus import MetricsServer, exposition, prometheus_name


def some() -> InMemoryCollector:
    figures = InMemoryCollector()
    figures.add(metrics.COMPLETED, ("app.send", "mail", "succeeded"), 3)
    figures.set(metrics.OLDEST_AGE, ('a"b\\c\nd',), 1.5)
    figures.observe(metrics.BATCH, (), [1, 2, 7, 501])
    figures.observe(metrics.OPERATION_SECONDS, ("settle", "aiojobs_engine", ""), [0.02])
    return figures


def test_the_text_is_what_prometheus_reads() -> None:
    text = exposition(some())

    assert text.splitlines()[-11:] == [
        'aiojobs_engine_finalizer_batch_size_bucket{le="20"} 3',
        'aiojobs_engine_finalizer_batch_size_bucket{le="50"} 3',
        'aiojobs_engine_finalizer_batch_size_bucket{le="100"} 3',
        'aiojobs_engine_finalizer_batch_size_bucket{le="200"} 3',
        'aiojobs_engine_finalizer_batch_size_bucket{le="500"} 3',
        'aiojobs_engine_finalizer_batch_size_bucket{le="+Inf"} 4',
        "aiojobs_engine_finalizer_batch_size_sum 511",
        "aiojobs_engine_finalizer_batch_size_count 4",
        f"# HELP aiojobs_engine_queue_oldest_age_seconds {metrics.OLDEST_AGE.about}",
        "# TYPE aiojobs_engine_queue_oldest_age_seconds gauge",
        'aiojobs_engine_queue_oldest_age_seconds{messaging_destination_name="a\\"b\\\\c\\nd"} 1.5',
    ]
    assert (
        'aiojobs_engine_job_completed_total{aiojobs_engine_task_name="app.send",'
        'messaging_destination_name="mail",aiojobs_engine_job_outcome="succeeded"} 3' in text
    )
    assert (
        'messaging_client_operation_duration_seconds_bucket{messaging_operation_name="settle",'
        'messaging_system="aiojobs_engine",le="0.025"} 1' in text
    )


def test_its_own_parser_agrees() -> None:
    families = {family.name: family for family in text_string_to_metric_families(exposition(some()))}
    (age,) = families["aiojobs_engine_queue_oldest_age_seconds"].samples
    assert age.labels == {"messaging_destination_name": 'a"b\\c\nd'}
    assert families["aiojobs_engine_finalizer_batch_size"].type == "histogram"


def test_names_say_unit_and_kind() -> None:
    assert prometheus_name(metrics.RUN_SECONDS) == "messaging_process_duration_seconds"
    assert prometheus_name(metrics.RETRIES) == "aiojobs_engine_job_retries_total"
    assert prometheus_name(metrics.QUEUE_DEPTH) == "aiojobs_engine_queue_depth"


def test_the_server_shows_what_there_is_now_and_nothing_else() -> None:
    figures = some()
    server = MetricsServer(figures, "127.0.0.1", 0)
    try:
        address = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            first = answer.read().decode()
            kind = answer.headers["Content-Type"]
        figures.add(metrics.COMPLETED, ("app.send", "mail", "succeeded"), 1)
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            second = answer.read().decode()
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"{address}/", timeout=10)
        refused.value.close()
        with pytest.raises(ConfigError, match="metrics can't be served"):
            MetricsServer(figures, "127.0.0.1", server.port)
    finally:
        server.close()

    assert kind.startswith("text/plain; version=0.0.4")
    assert 'outcome="succeeded"} 3' in first
    assert 'outcome="succeeded"} 4' in second
