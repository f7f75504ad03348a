"""Watches the event loop from a thread, for a blocked loop is not a dead worker.

Four times a second the thread asks the loop for an answer. While none comes it names what blocks the loop,
renews the leases over a connection of its own, on a loop of its own, and, where that is allowed, ends the
process once the job that blocks is past its own timeout: nothing gentler can end it. The token protects in
any case.

Time that passes while the thread doesn't run either, as when the process is stopped, is nobody's fault: it
counts neither as blocking nor towards the end.
"""

import asyncio
import logging
import sys
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread, get_ident
from typing import Any

from aiojobs_engine.core.errors import BackendError
from aiojobs_engine.ports.backend import Backend
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.runtime.context import job_of
from aiojobs_engine.runtime.run import Run, Stop

logger = logging.getLogger(__name__)

_ASK_EVERY = 0.25
_PATIENCE = 0.75
_SHARE_OF_LEASE = 0.3
_STEP = 0.05
_ASLEEP = 1.0
_DEPTH = 8
_OURS = str(Path(__file__).parents[1])
_LIBRARY = sysconfig.get_paths()["stdlib"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """What a blocked worker may do about it.

    Attributes:
        open_store: makes a second store of the same jobs, None where there can be none.
        leave: ends the process; None where that is not the worker's to end.
    """

    open_store: Callable[[], Backend] | None = None
    leave: Callable[[], None] | None = None


class Watchdog:
    """Owns the thread. All methods are for the loop's own thread."""

    def __init__(
        self,
        clock: Clock,
        *,
        lease: float,
        grace: float,
        held: Callable[[], Sequence[Run]],
        on_back: Callable[[], None],
        on_lag: Callable[[float], None] | None,
        rescue: Rescue,
    ) -> None:
        """Watch from `start` on.

        Args:
            grace: seconds beyond its timeout that a job which blocks may have.
            held: the runs whose leases are this worker's.
            on_back: called on the loop, before anything else, when it goes on after it was blocked.
            on_lag: called on the loop with the seconds that each answer took.
        """
        self._clock = clock
        self._lease = lease
        self._grace = grace
        self._held = held
        self._on_back = on_back
        self._on_lag = on_lag
        self._rescue = rescue
        self._patience = min(_PATIENCE, lease * _SHARE_OF_LEASE)
        self._is_over = Event()
        self._answered = Event()
        self._was_blocked = False
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to watch the running loop; where no thread can be started, the log says so."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = get_ident()
        thread = Thread(target=self._watch, name="aiojobs-watchdog", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            logger.warning("a handler that blocks the loop will not be noticed: %s", error)
        else:
            self._thread = thread

    def stop(self) -> None:
        """Watch no more, and wait until the thread has ended; may be repeated."""
        self._is_over.set()
        self._answered.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _watch(self) -> None:
        while not self._is_over.wait(_ASK_EVERY):
            self._answered.clear()
            asked_at = self._clock.monotonic()
            try:
                self._loop.call_soon_threadsafe(self._answer, asked_at)
            except RuntimeError:  # the loop is closed
                return
            if not self._answered.wait(self._patience):
                self._was_blocked = True
                try:
                    self._stand_in(asked_at)
                except Exception:
                    logger.exception("the watchdog failed; leases are not renewed while the loop is blocked")

    def _answer(self, asked_at: float) -> None:
        if self._was_blocked:
            self._was_blocked = False
            self._on_back()
        self._answered.set()
        if self._on_lag is not None:
            self._on_lag(self._clock.monotonic() - asked_at)

    def _stand_in(self, asked_at: float) -> None:
        """Do the worker's duties until the loop answers."""
        block = _Block(asked_at, self._clock.monotonic())
        deputy = None if self._rescue.open_store is None else _Deputy(self._rescue.open_store, self._lease)
        try:
            while not self._is_over.is_set():
                self._judge(block)
                if deputy is not None and not block.is_hopeless:
                    self._renew(deputy)
                before = self._clock.monotonic()
                if self._answered.wait(_STEP):
                    break
                block.tick(before, self._clock.monotonic())
        finally:
            if deputy is not None:
                deputy.close()
        if block.is_named:
            logger.warning("the event loop goes on after %.1f s", self._clock.monotonic() - asked_at)

    def _judge(self, block: "_Block") -> None:
        if block.seconds < self._patience:
            return
        culprit = self._culprit()
        if not block.is_named:
            block.is_named = True
            logger.warning("%s", self._named(culprit, block))
        if block.is_hopeless or not self._is_past(culprit):
            return
        block.is_hopeless = True
        what = "every job that runs here" if culprit is None else f"job {culprit.claim.envelope.id}"
        if self._rescue.leave is None:
            logger.error("the loop is blocked past the timeout of %s; leases are renewed no more", what)
        else:
            logger.critical(
                "the loop is blocked past the timeout of %s; this process ends, its jobs run again",
                what,
            )
            self._rescue.leave()

    def _culprit(self) -> Run | None:
        """The run that has the loop, None when that is something else."""
        task: Any = asyncio.current_task(self._loop)
        if task is None:
            return None
        runs = self._held()
        for run in runs:
            if run.task is task:
                return run
        claim = job_of(task)
        return next((run for run in runs if run.claim is claim), None)

    def _is_past(self, culprit: Run | None) -> bool:
        """Whether the run that blocks, or each run when it is unknown, should have been over for a while."""
        runs = [run for run in self._held() if not run.is_finalized] if culprit is None else [culprit]
        now = self._clock.monotonic()
        return bool(runs) and all(run.ends_at is not None and now > run.ends_at + self._grace for run in runs)

    def _named(self, culprit: Run | None, block: "_Block") -> str:
        frames = _stack(self._loop_thread)
        who = "something that is no job"
        if culprit is not None:
            envelope = culprit.claim.envelope
            who = f"job {envelope.id} ({envelope.type}, attempt {culprit.claim.attempts + 1})"
        where = _place(frames)
        lines = "".join(traceback.StackSummary.from_list(frames).format()).rstrip()
        return (
            f"{who} has blocked the event loop for {block.seconds:.1f} s{where}; "
            f"blocking work belongs into a plain function, which runs in a thread\n{lines}"
        )

    def _renew(self, deputy: "_Deputy") -> None:
        now = self._clock.monotonic()
        runs = [run for run in self._held() if run.stop is not Stop.LOST]
        if not runs or now - min(run.leased_at for run in runs) < self._lease * _SHARE_OF_LEASE:
            return
        try:
            held = deputy.extend(runs)
        except (BackendError, OSError, TimeoutError) as error:
            logger.warning("leases can't be renewed while the event loop is blocked: %s", error)
            self._answered.wait(self._lease / 10)
            return
        for run in held:
            run.leased_at = now


class _Block:
    """How long the loop has been blocked, as far as this thread saw it."""

    def __init__(self, since: float, now: float) -> None:
        self._since = now if now - since > _PATIENCE + _ASLEEP else since
        self._seen_at = now
        self.is_named = False
        self.is_hopeless = False

    @property
    def seconds(self) -> float:
        return self._seen_at - self._since

    def tick(self, before: float, now: float) -> None:
        """Go on; after a short wait that took long, for this thread didn't run either, begin anew."""
        if now - before > _ASLEEP:
            self._since = now
        self._seen_at = now


class _Deputy:
    """A store and a loop of the thread's own, opened when they are first needed."""

    def __init__(self, open_store: Callable[[], Backend], lease: float) -> None:
        self._open_store = open_store
        self._lease = lease
        self._runner: asyncio.Runner | None = None
        self._store: Backend | None = None

    def extend(self, runs: Sequence[Run]) -> list[Run]:
        """Renew the leases of `runs`; those of them that are still held."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._extended(runs))

    async def _extended(self, runs: Sequence[Run]) -> list[Run]:
        async with asyncio.timeout(self._lease):
            if self._store is None:
                store = self._open_store()
                await store.open()
                self._store = store
            answers = await self._store.extend([run.claim.lease for run in runs], self._lease)
        return [run for run, answer in zip(runs, answers, strict=True) if answer.held]

    def close(self) -> None:
        if self._runner is None:
            return
        if self._store is not None:
            with suppress(BackendError, OSError):
                self._runner.run(self._store.close())
        self._runner.close()


def _stack(thread: int) -> list[traceback.FrameSummary]:
    """What a thread does now, the innermost call last."""
    frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the documented way
    frame = frames.get(thread)
    if frame is None:
        return []
    return list(traceback.extract_stack(frame))[-_DEPTH:]


def _place(frames: Sequence[traceback.FrameSummary]) -> str:
    """The innermost line that is neither the engine's nor a library's."""
    own = [
        frame
        for frame in frames
        if not frame.filename.startswith((_OURS, _LIBRARY, "<")) and "site-packages" not in frame.filename
    ]
    if not own:
        return ""
    return f" at {own[-1].filename}:{own[-1].lineno} in {own[-1].name}"
