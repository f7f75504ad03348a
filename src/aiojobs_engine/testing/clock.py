"""A clock that stands still until a test moves it."""

import asyncio
from collections.abc import Awaitable, Callable, Sized
from datetime import UTC, datetime
from heapq import heappop, heappush

from aiojobs_engine.core.instant import Instant, instant
from aiojobs_engine.ports.clock import Clock, Timer

_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS = 100_000
_TURNS_ON_OTHER_LOOPS = 100


class ManualClock(Clock):
    """Time for tests: it moves by `advance` alone, and wall and boot time can jump by themselves.

    Timers fire only inside `advance`, but for those of no delay, which fire on the loop's next turn.
    """

    def __init__(
        self,
        start: datetime | Instant = _NEW_YEAR,
        *,
        unseen: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Let the wall show `start`.

        Args:
            unseen: waits for work that the loop can't see, such as threads, and says whether there was any.
        """
        self._wall_ms: int = instant(start) if isinstance(start, datetime) else start
        self._elapsed_us = 0
        self._wall_from_us = 0
        self._boot_id = "boot-1"
        self._boot_from_us = 0
        self._timers: list[_ManualTimer] = []
        self._unseen = unseen
        self._timers_made = 0

    def now(self) -> Instant:
        """The wall clock, ms since the epoch, UTC."""
        return Instant(self._wall_ms + (self._elapsed_us - self._wall_from_us) // 1000)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed_us / 1_000_000

    def boot(self) -> tuple[str, int]:
        """The id of this boot, and ms since it."""
        return self._boot_id, (self._elapsed_us - self._boot_from_us) // 1000

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` when the clock has moved by `seconds`."""
        if seconds <= 0:
            return asyncio.get_running_loop().call_soon(callback)
        due_us = self._elapsed_us + max(1, round(seconds * 1_000_000))
        self._timers_made += 1
        timer = _ManualTimer(due_us, self._timers_made, callback)
        heappush(self._timers, timer)
        return timer

    async def advance(self, seconds: float) -> None:
        """Move by `seconds`, to each due timer in turn; all tasks come to rest before, between and after.

        Raises:
            RuntimeError: some task never comes to rest.
        """
        end_us = self._elapsed_us + round(seconds * 1_000_000)
        await self.rest()
        while (timer := self._next_timer()) is not None and timer.due_us <= end_us:
            self._elapsed_us = timer.due_us
            heappop(self._timers).callback()
            if (after := self._next_timer()) is None or after.due_us > self._elapsed_us:
                await self.rest()
        self._elapsed_us = end_us
        await self.rest()

    async def rest(self) -> None:
        """Let all tasks run until each waits for something; time stands still.

        Raises:
            RuntimeError: some task never comes to rest.
        """
        await _rest()
        while self._unseen is not None and await self._unseen():
            await _rest()

    def set_wall(self, wall: Instant) -> None:
        """Let the wall clock jump; monotonic and boot time go on as they were."""
        self._wall_ms, self._wall_from_us = wall, self._elapsed_us

    def reboot(self, boot_id: str) -> None:
        """Begin another boot of the machine at 0 ms; wall and monotonic time go on as they were."""
        self._boot_id, self._boot_from_us = boot_id, self._elapsed_us

    def _next_timer(self) -> "_ManualTimer | None":
        while self._timers and self._timers[0].is_cancelled:
            heappop(self._timers)
        return self._timers[0] if self._timers else None


class _ManualTimer:
    __slots__ = ("callback", "due_us", "is_cancelled", "number")

    def __init__(self, due_us: int, number: int, callback: Callable[[], object]) -> None:
        self.due_us = due_us
        self.number = number
        self.callback = callback
        self.is_cancelled = False

    def __lt__(self, other: "_ManualTimer") -> bool:
        return (self.due_us, self.number) < (other.due_us, other.number)

    def cancel(self) -> None:
        self.is_cancelled = True


async def _rest() -> None:
    """Yield until nothing but this task is ready, twice in a row, so that the selector had its turn too."""
    ready: Sized | None = getattr(asyncio.get_running_loop(), "_ready", None)
    if ready is None:
        for _ in range(_TURNS_ON_OTHER_LOOPS):
            await asyncio.sleep(0)
        return
    quiet = 0
    for _ in range(_TURNS):
        await asyncio.sleep(0)
        quiet = 0 if ready else quiet + 1
        if quiet == 2:
            return
    raise RuntimeError(
        f"some task is still busy after {_TURNS} turns of the loop; it should wait for something"
    )
