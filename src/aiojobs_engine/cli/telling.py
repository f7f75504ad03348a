"""What a worker process tells about itself, set up around its run."""

from collections.abc import Generator
from contextlib import contextmanager

from aiojobs_engine.cli.output import note
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.engine import Engine
from aiojobs_engine.telemetry.collectors import InMemoryCollector
from aiojobs_engine.telemetry.prometheus import MetricsServer

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


@contextmanager
def told(engine: Engine, metrics_port: int | None, place: int) -> Generator[None]:
    """Serve the figures of `engine` while the body runs, when a port is given here or in the settings.

    Raises:
        ConfigError: the port is taken, or the engine has a collector of its own.
    """
    settings = engine.settings.worker
    port = settings.metrics_port if metrics_port is None else metrics_port
    if port is None:
        yield
        return
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
