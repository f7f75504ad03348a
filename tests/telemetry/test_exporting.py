"""Workers that send spans by themselves, because their program has set no provider."""

import sys

import pytest
from opentelemetry import trace

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.telemetry.detection import exported
from tests.telemetry.conftest import SetProvider, Spans


@pytest.fixture
def _no_provider(set_provider: SetProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a fresh process."""
    set_provider(None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", type(trace._TRACER_PROVIDER_SET_ONCE)())


@pytest.mark.usefixtures("_no_provider")
def test_spans_go_to_standard_error_and_the_last_ones_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop")
    with exported("console"), trace.get_tracer("app").start_as_current_span("a span of the program"):
        pass

    told = capsys.readouterr().err
    assert "a span of the program" in told
    assert '"service.name": "aiojobs-engine"' in told
    assert '"service.namespace": "shop"' in told


@pytest.mark.usefixtures("_no_provider")
def test_an_exporter_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"pip install 'aiojobs-engine\[otel\]'"), exported("otlp"):
        pass


def test_a_provider_of_the_program_stays(spans: Spans) -> None:
    before = trace.get_tracer_provider()
    with exported("console"):
        assert trace.get_tracer_provider() is before

    assert spans.all == []


@pytest.mark.usefixtures("_no_provider")
def test_nothing_is_set_up_without_a_wish() -> None:
    with exported("none"):
        assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
