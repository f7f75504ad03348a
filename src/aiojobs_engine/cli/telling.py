"""What a worker process tells about itself, set up around its run."""

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from aiojobs_engine.cli.output import note
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.masking import Masker
from aiojobs_engine.engine import Engine
from aiojobs_engine.runtime.job_logs import JobLogFilter
from aiojobs_engine.telemetry.collectors import InMemoryCollector
from aiojobs_engine.telemetry.detection import exported
from aiojobs_engine.telemetry.log_format import JsonFormatter, TextFormatter
from aiojobs_engine.telemetry.masking import MaskingFilter

LogFormat = Literal["text", "json"]

_LAST_PORT = 65_535


def port_of(first: int, place: int) -> int:
    """The port of the process in a place, from 0: each takes the one after the last; 0 stays any free one.

    Raises:
        ConfigError: there are no more ports.
    """
    port = first + place if first else 0
    if port > _LAST_PORT:
        raise ConfigError(f"process {place} would show its metrics at port {port}, beyond the last port")
    return port


def begin_logging(level: int, form: LogFormat) -> None:
    """Log to standard error, unless the program has said otherwise."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler])


def adorn_handlers(masker: Masker) -> None:
    """Let every handler that there is tell of jobs, and mask secrets; may be repeated."""
    for handler in _handlers():
        kinds = {type(each) for each in handler.filters}
        if JobLogFilter not in kinds:
            handler.addFilter(JobLogFilter())
        if MaskingFilter not in kinds:
            handler.addFilter(MaskingFilter(masker))


def _handlers() -> set[logging.Handler]:
    loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    return {handler for each in loggers if isinstance(each, logging.Logger) for handler in each.handlers}


@contextmanager
def told(engine: Engine, metrics_port: int | None, place: int) -> Generator[None]:
    """Send spans, figures and logs, and serve the figures of `engine`, while the body runs, as settings say.

    Raises:
        ConfigError: the port is taken, or the engine has a collector of its own; an exporter is not there.
    """
    with exported(engine.settings.telemetry.exporter):
        adorn_handlers(engine.settings.masker)  # the one that sends logs, too
        with _measured(engine, metrics_port, place):
            yield


@contextmanager
def _measured(engine: Engine, metrics_port: int | None, place: int) -> Generator[None]:
    settings = engine.settings.worker
    port = settings.metrics_port if metrics_port is None else metrics_port
    if port is None:
        yield
        return
    from aiojobs_engine.telemetry.prometheus import MetricsServer

    collector = engine.metrics
    if collector is None:
        collector = engine.metrics = InMemoryCollector()
    if not isinstance(collector, InMemoryCollector):
        raise ConfigError("the engine has a collector of its own, so there are no figures for a metrics port")
    server = MetricsServer(collector, settings.metrics_host, port_of(port, place))
    try:
        note(f"metrics at http://{settings.metrics_host}:{server.port}/metrics")
        yield
    finally:
        server.close()
