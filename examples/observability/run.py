"""Traces, metrics and logs of one run, on one machine, with nothing else to install: `python run.py`.

A shop takes an order: a job checks it and dispatches two more, one of which fails at first. At the end the
program prints what OpenTelemetry, Prometheus and a log file would have got.
"""

import asyncio
import io
import logging
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aiojobs_engine import Engine, JobContext, JobLogFilter, Retry
from aiojobs_engine.telemetry.collectors import InMemoryCollector
from aiojobs_engine.telemetry.log_format import JsonFormatter
from aiojobs_engine.telemetry.prometheus import exposition

SHOWN = ("job_completed_total", "job_retries_total", "process_duration_seconds_count")

logger = logging.getLogger("shop")
figures = InMemoryCollector()
spans = InMemorySpanExporter()
folder = tempfile.TemporaryDirectory()
engine = Engine(
    f"sqlite:///{Path(folder.name) / 'jobs.db'}",
    metrics=figures,
    config={"telemetry": {"trace_parenting": "parent"}},
)


@engine.job(name="place_order", queue="orders")
async def place_order(ctx: JobContext, number: int) -> None:
    logger.info("order %d is checked", number)
    await ctx.engine.dispatch(charge_card, number)
    await ctx.engine.dispatch(send_mail, f"order-{number}@example.org")


@engine.job(name="charge_card", queue="money", retry=Retry.fixed(3, 0.1))
async def charge_card(ctx: JobContext, number: int) -> None:
    if ctx.attempt == 1:
        raise ConnectionError("the bank doesn't answer")
    with trace.get_tracer("shop").start_as_current_span("call the bank"):
        logger.info("order %d is paid", number)


@engine.job(name="send_mail", queue="mail")
def send_mail(address: str) -> None:
    logger.info("from a thread: mail to %s", address)


async def until_all_ended(count: int) -> None:
    async for event in engine.events(after=await engine.store.since(0)):
        count -= type(event).__name__ == "JobCompleted"
        if not count:
            return


async def work() -> None:
    async with engine.running():
        with trace.get_tracer("shop").start_as_current_span("POST /orders"):
            await engine.dispatch(place_order, 4711)
        await asyncio.wait_for(until_all_ended(3), timeout=20)


def tree(finished: Sequence[ReadableSpan]) -> list[str]:
    """The spans of each trace, indented by their parents, with milliseconds and what became of them."""
    children: defaultdict[int | None, list[ReadableSpan]] = defaultdict(list)
    for span in sorted(finished, key=lambda span: span.start_time or 0):
        children[span.parent.span_id if span.parent else None].append(span)

    def below(parent: int | None, depth: int) -> list[str]:
        lines: list[str] = []
        for span in children[parent]:
            lines.append(f"{'  ' * depth}{span.name}  {took(span):.1f} ms{outcome(span)}")
            lines += below(span.context.span_id if span.context else 0, depth + 1)
        return lines

    return below(None, 0)


def took(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e6


def outcome(span: ReadableSpan) -> str:
    found = (span.attributes or {}).get("aiojobs_engine.job.outcome")
    return f"  {found}" if found else ""


def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(JobLogFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])

    asyncio.run(work())

    print("TRACE")
    print("\n".join(tree(spans.get_finished_spans())))
    print("\nMETRICS")
    print(
        "\n".join(line for line in exposition(figures).splitlines() if line.partition("{")[0].endswith(SHOWN))
    )
    print("\nLOG")
    print(log.getvalue().rstrip())
    folder.cleanup()


if __name__ == "__main__":
    main()
