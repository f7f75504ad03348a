"""Turns what happens into figures, a batch at a time, and bounds the labels."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec

from aiojobs_engine.core import metrics
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.metrics import Metric
from aiojobs_engine.core.outcome import RowsDone, Succeeded
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.metrics import Labels, MetricsCollector
from aiojobs_engine.ports.observer import Execution, Load
from aiojobs_engine.telemetry import names

logger = logging.getLogger(__name__)

MOST_VALUES = 200
"""How many different values a label may have in a process; later ones are `other`."""

OTHER = "other"

_QUIET = 60.0
_DISPATCH = (names.DISPATCH, names.SYSTEM)
_RECEIVE = (names.RECEIVE, names.SYSTEM)
_SETTLE = (names.SETTLE, names.SYSTEM)
_PROCESS = (names.PROCESS, names.SYSTEM)
_OPEN = tuple(status for status in Status if status not in FINAL)

P = ParamSpec("P")


class Meter:
    """Hands figures to a collector. What that raises is logged once a minute, and changes nothing else."""

    def __init__(self, collector: MetricsCollector, clock: Clock) -> None:
        """Figures go to `collector`."""
        self._collector = collector
        self._clock = clock
        self._complained_at = float("-inf")
        self._known: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._shown: set[tuple[Metric, Labels]] = set()
        self._counted: Counter[tuple[str, str]] = Counter()

    def sent(self, envelopes: Sequence[Envelope], seconds: float, error: BaseException | None) -> None:
        """A write of dispatches took `seconds`; `error` is why it failed."""
        self._guarded(self._sent, envelopes, seconds, error)

    def fetched(self, claims: Sequence[Claim], seconds: float) -> None:
        """A claim that took `seconds` brought these."""
        self._guarded(self._fetched, claims, seconds)

    def settled(self, executions: Sequence[Execution], seconds: float) -> None:
        """A write of outcomes took `seconds`."""
        self._guarded(self._settled, executions, seconds)

    def sampled(self, load: Load) -> None:
        """A look around."""
        self._guarded(self._sampled, load)

    def lagged(self, seconds: float) -> None:
        """The loop answered so late."""
        self._guarded(self._collector.observe, metrics.LOOP_LAG, (), (seconds,))

    def fired(self, name: str, seconds: float) -> None:
        """A cron entry fired so late."""
        self._guarded(self._fired, name, seconds)

    def _guarded(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            call(*args, **kwargs)
        except Exception:
            now = self._clock.monotonic()
            if now - self._complained_at >= _QUIET:
                self._complained_at = now
                logger.exception("the collector of metrics raised; figures are missing")

    def _sent(self, envelopes: Sequence[Envelope], seconds: float, error: BaseException | None) -> None:
        kind = "" if error is None else self._bounded(metrics.ERROR, type(error).__qualname__)
        queues = Counter(envelope.queue for envelope in envelopes)
        for queue, count in queues.items():
            labels = (*_DISPATCH, self._bounded(metrics.QUEUE, queue), kind)
            self._collector.add(metrics.SENT, labels, count)
        self._collector.observe(metrics.OPERATION_SECONDS, (*_DISPATCH, kind), (seconds,))

    def _fetched(self, claims: Sequence[Claim], seconds: float) -> None:
        waits: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        queues: Counter[str] = Counter()
        for claim in claims:
            envelope = claim.envelope
            queues[envelope.queue] += 1
            if claim.lease.token == 1:  # later ones waited for something else: a retry, a snooze, a rescue
                due = envelope.created_at if envelope.scheduled_at is None else envelope.scheduled_at
                waits[envelope.type, envelope.queue].append(_seconds(due, claim.started_at))
        for queue, count in queues.items():
            self._collector.add(metrics.FETCHED, (*_RECEIVE, self._bounded(metrics.QUEUE, queue)), count)
        for (type_, queue), values in waits.items():
            self._collector.observe(metrics.WAIT_SECONDS, self._job(type_, queue), values)
        self._collector.observe(metrics.OPERATION_SECONDS, (*_RECEIVE, ""), (seconds,))

    def _settled(self, executions: Sequence[Execution], seconds: float) -> None:
        collector = self._collector
        groups: defaultdict[tuple[str, str, str, str, str], list[Execution]] = defaultdict(list)
        for each in executions:
            envelope, settlement = each.claim.envelope, each.settlement
            if not each.accepted:
                groups[envelope.type, envelope.queue, "lost", "", ""].append(each)
            elif type(each.outcome) is Succeeded:  # most of them
                groups[envelope.type, envelope.queue, "succeeded", "", ""].append(each)
            else:
                outcome, error = names.outcome_name(each.outcome, settlement), settlement.error
                is_error = outcome in names.ERRORS and error is not None
                kind = error.type if is_error and error is not None else ""
                reason = error.reason or "" if is_error and error is not None else ""
                groups[envelope.type, envelope.queue, outcome, kind, reason].append(each)
        for (type_, queue, outcome, kind, reason), group in groups.items():
            self._group(self._job(type_, queue), outcome, kind, reason, group)
        self._rows(executions)
        collector.observe(metrics.BATCH, (), (len(executions),))
        collector.observe(metrics.OPERATION_SECONDS, (*_SETTLE, ""), (seconds,))

    def _group(self, job: Labels, outcome: str, kind: str, reason: str, group: Sequence[Execution]) -> None:
        add, count, (task, queue) = self._collector.add, len(group), job
        if outcome == "lost":
            add(metrics.LEASES_LOST, job, count)
            return
        kind = self._bounded(metrics.ERROR, kind) if kind else ""
        seconds = [each.seconds for each in group if each.seconds is not None]
        if seconds:
            self._collector.observe(metrics.RUN_SECONDS, (*_PROCESS, queue, task, kind), seconds)
        add(metrics.COMPLETED, (*job, outcome), count)
        if outcome in names.ERRORS:
            add(metrics.FAILURES, (*job, kind), count)
            if kind == "timeout":
                add(metrics.TIMEOUTS, job, count)
            if outcome == "retry":
                add(metrics.RETRIES, (*job, kind), count)
            else:
                add(metrics.DEAD, (*job, self._bounded("reason", reason)), count)

    def _rows(self, executions: Iterable[Execution]) -> None:
        rows: Counter[tuple[str, str]] = Counter()
        for each in executions:
            outcome = each.outcome
            if isinstance(outcome, RowsDone) and each.accepted:
                type_ = each.claim.envelope.type
                rows[type_, "skipped"] += outcome.skipped
                rows[type_, "succeeded"] += outcome.succeeded - outcome.skipped
                rows[type_, "failed"] += len(outcome.faults)
        for (type_, result), count in rows.items():
            self._collector.add(metrics.ROWS, (self._bounded(metrics.TASK, type_), result), count)

    def _fired(self, name: str, seconds: float) -> None:
        self._collector.observe(metrics.CRON_LAG, (self._bounded(metrics.CRON, name),), (seconds,))

    def _sampled(self, load: Load) -> None:
        collector = self._collector
        collector.set(metrics.SLOTS_LIMIT, (), load.slots)
        collector.set(metrics.SLOTS_USED, (), load.running)
        collector.set(metrics.STUCK, (), load.stuck)
        shown: dict[tuple[Metric, Labels], float] = dict.fromkeys(self._shown, 0.0)
        for queue in load.queues:
            name = self._bounded(metrics.QUEUE, queue.name)
            for status in _OPEN:
                depth = (metrics.QUEUE_DEPTH, (name, str(status)))
                shown[depth] = shown.get(depth, 0.0) + queue.counts.get(status, 0)
            age = (metrics.OLDEST_AGE, (name,))
            shown[age] = max(shown.get(age, 0.0), queue.oldest_age or 0.0)
        for (gauge, labels), value in shown.items():
            collector.set(gauge, labels, value)
        self._shown = set(shown)
        for listener, its in load.listeners.items():
            name = self._bounded("listener", listener)
            collector.set(metrics.LISTENER_WAITING, (name,), its.waiting)
            self._count(metrics.DROPPED, (name,), listener, its.dropped)
            for error, count in its.failed.items():
                self._count(
                    metrics.LISTENER_FAILED,
                    (name, self._bounded(metrics.ERROR, error)),
                    listener + error,
                    count,
                )

    def _count(self, counter: Metric, labels: Labels, key: str, count: int) -> None:
        """Add what came since the last look; `key` says whose count it is."""
        more = count - self._counted[counter.name, key]
        if more > 0:
            self._collector.add(counter, labels, more)
        self._counted[counter.name, key] = count

    def _job(self, type: str, queue: str) -> tuple[str, str]:
        return self._bounded(metrics.TASK, type), self._bounded(metrics.QUEUE, queue)

    def _bounded(self, label: str, value: str) -> str:
        known = self._known[label]
        found = known.get(value)
        if found is None:
            if len(known) >= MOST_VALUES:
                return OTHER
            found = known[value] = value
        return found


def _seconds(due: Instant, started_at: Instant) -> float:
    return max(0, started_at - due) / 1000
