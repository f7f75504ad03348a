"""The nemesis: keeps workers up, and kills, stops and drains them by a seeded plan."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import anyio
from harness.process import Process

from chaos.eyes import Eyes
from chaos.journal import DEEDS, Journal

KILL, STOP, DRAIN = "kill", "stop", "drain"
GAVE_UP = "gave up"

_LOOK = 0.02
_LONGEST_STOP = 2.0
_LONGEST_TROUBLE = 1.5


def plan(rng: Random, *, kills: int, stops: int, drains: int, others: Sequence[str] = ()) -> list[str]:
    """The deeds in a random order."""
    deeds = [KILL] * kills + [STOP] * stops + [DRAIN] * drains + [*others]
    rng.shuffle(deeds)
    return deeds


@dataclass(frozen=True, slots=True)
class Trouble:
    """What can be done to a server, by name; each takes about so many seconds as it is told, or none."""

    deeds: Mapping[str, Callable[[float], object]]


class Nemesis:
    """Does its deeds to workers that hold jobs, one after the other.

    Attributes:
        workers: those that run now; one that was killed or drained is replaced at once.
    """

    def __init__(
        self,
        folder: Path,
        rng: Random,
        start: Callable[[], Process],
        eyes: Eyes,
        *,
        count: int,
        lease: float,
        server: Trouble,
    ) -> None:
        """Keep `count` workers up, which `start` starts; stops last up to two leases."""
        self._journal = Journal(folder / DEEDS)
        self._eyes = eyes
        self._server = server
        self._rng = rng
        self._start = start
        self._lease = lease
        self._stopped: set[int] = set()
        self.workers = [start() for _ in range(count)]

    async def run(self, deeds: list[str], every: float) -> None:
        """Do all deeds, about one each `every` seconds; return when those that were stopped go on again."""
        async with anyio.create_task_group() as stops:
            for deed in deeds:
                await anyio.sleep(self._rng.uniform(0.5, 1.5) * every)
                if deed in self._server.deeds:
                    await self._trouble(deed)
                    continue
                victim = await self._victim()
                if deed == KILL:
                    self._kill(victim)
                elif deed == DRAIN:
                    await self._drain(victim)
                else:
                    stops.start_soon(self._stop, victim, self._rng.uniform(0.2, _LONGEST_STOP) * self._lease)

    def end(self) -> list[int]:
        """Let the workers drain; their exit codes."""
        for worker in self.workers:
            worker.popen.send_signal(signal.SIGTERM)
        return [worker.stop() for worker in self.workers]

    def close(self) -> None:
        """Kill whoever is left."""
        for worker in self.workers:
            if worker.popen.poll() is None:
                worker.popen.kill()
                worker.popen.wait()
        self._journal.close()

    async def _victim(self) -> Process:
        """A worker that holds jobs now; one that gave up by itself is replaced, as a supervisor would."""
        while True:
            for worker in self._rng.sample(self.workers, len(self.workers)):
                if (code := worker.popen.poll()) is not None:
                    self._journal.write(what=GAVE_UP, pid=worker.pid, at=time.monotonic(), code=code)
                    self._replace(worker)
                elif worker.pid not in self._stopped and self._eyes.held(worker.pid):
                    return worker
            await anyio.sleep(_LOOK)

    def _kill(self, victim: Process) -> None:
        victim.popen.kill()
        victim.popen.wait()
        at = time.monotonic()
        self._journal.write(what=KILL, pid=victim.pid, at=at, held=self._eyes.held(victim.pid))
        self._replace(victim)

    async def _drain(self, victim: Process) -> None:
        victim.popen.send_signal(signal.SIGTERM)
        code = await anyio.to_thread.run_sync(victim.popen.wait)
        self._journal.write(what=DRAIN, pid=victim.pid, at=time.monotonic(), code=code)
        self._replace(victim)

    async def _stop(self, victim: Process, seconds: float) -> None:
        self._stopped.add(victim.pid)
        victim.popen.send_signal(signal.SIGSTOP)
        self._journal.write(what=STOP, pid=victim.pid, at=time.monotonic(), seconds=seconds)
        try:
            await anyio.sleep(seconds)
        finally:
            victim.popen.send_signal(signal.SIGCONT)
            self._stopped.discard(victim.pid)

    def _replace(self, victim: Process) -> None:
        self.workers[self.workers.index(victim)] = self._start()

    async def _trouble(self, deed: str) -> None:
        seconds = self._rng.uniform(0.2, _LONGEST_TROUBLE)
        at = time.monotonic()
        await anyio.to_thread.run_sync(self._server.deeds[deed], seconds)
        self._journal.write(what=deed, pid=0, at=at, seconds=time.monotonic() - at)
