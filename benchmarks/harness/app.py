"""The engine that the worker processes of the scenarios run: `harness.app:engine`.

The environment says where: `AIOJOBS_URL` names the store, `BENCHMARK_TALLY` the folder of the counters.
"""

import asyncio
import os
import struct
import time
from pathlib import Path

from aiojobs_engine import Engine, JobEvent, JobRegistry, Retry
from harness.people import Person
from harness.tally import Tally

ATTEMPTS = 3
MOMENT = struct.Struct("qd")

_folder = Path(os.environ.get("BENCHMARK_TALLY", "."))
_tally = Tally(_folder)

registry = JobRegistry()


@registry.job(name="empty")
async def empty(n: int) -> None:
    """Do nothing."""
    _tally.ran(n)


@registry.job(name="echo")
async def echo(n: int) -> int:
    """Give a result, which the store keeps."""
    _tally.ran(n)
    return n


@registry.job(name="carry")
async def carry(n: int, text: str) -> int:
    """Take a payload of some size."""
    _tally.ran(n)
    return len(text)


@registry.job(name="nap")
async def nap(n: int, seconds: float) -> None:
    """Wait."""
    _tally.start()
    await asyncio.sleep(seconds)
    _tally.end(n)


@registry.job(name="fail", retry=Retry.exponential(max_attempts=ATTEMPTS, base=0))
async def fail(n: int) -> None:
    """Fail each time."""
    _tally.ran(n)
    raise ValueError("no luck")


@registry.job(name="stamp")
async def stamp(n: int) -> None:
    """Write down when the handler began."""
    note_moment(n)
    _tally.ran(n)


@registry.importer("people", row=Person, key="email")
async def import_people(rows: list[Person]) -> None:
    """Do nothing with the rows."""


@registry.importer("people.without-key", row=Person)
async def import_people_without_key(rows: list[Person]) -> None:
    """Do nothing with the rows, which may repeat."""


def note_moment(n: int) -> None:
    """Append job `n` and the machine's monotonic seconds to the file of moments."""
    moment = MOMENT.pack(n, time.monotonic())
    with (_folder / "moments").open("ab") as file:
        file.write(moment)


def moments(folder: Path) -> dict[int, float]:
    """What the handlers wrote down, by job."""
    file = folder / "moments"
    return dict(MOMENT.iter_unpack(file.read_bytes())) if file.exists() else {}


engine = Engine(registry=registry)
_followed = os.environ.get("BENCHMARK_FOLLOWED", "").split()

if "listener" in _followed:

    @engine.on()
    async def hear(event: JobEvent) -> None:
        """Take every event, and do nothing with it."""


if "spans" in _followed:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class _Nowhere(SpanExporter):
        """Takes what was recorded, and sends it nowhere."""

        def export(self, spans: object) -> SpanExportResult:  # noqa: ARG002 - they go nowhere
            return SpanExportResult.SUCCESS

    _provider = TracerProvider()
    _provider.add_span_processor(BatchSpanProcessor(_Nowhere(), max_queue_size=100_000))
    trace.set_tracer_provider(_provider)
