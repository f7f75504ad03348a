"""What the jobs of every rival do; runs in its environment, in threads where the rival uses them."""

import asyncio
import os
import struct
import threading
import time
from pathlib import Path

from harness.tally import Tally

PORT = int(os.environ.get("PEER_PORT", "6379"))
SLOTS = int(os.environ.get("PEER_SLOTS", "100"))
URL = f"redis://127.0.0.1:{PORT}/0"
NAP = 0.05
MOMENT = struct.Struct("qd")

_folder = Path(os.environ.get("BENCHMARK_TALLY", "."))
_tally = Tally(_folder)
_lock = threading.Lock()


def empty(n: int) -> None:
    """Do nothing."""
    with _lock:
        _tally.ran(n)


async def nap(n: int) -> None:
    """Wait, without keeping the loop from others."""
    _tally.start()
    await asyncio.sleep(NAP)
    _tally.end(n)


def doze(n: int) -> None:
    """Wait in a thread of its own."""
    with _lock:
        _tally.start()
    time.sleep(NAP)
    with _lock:
        _tally.end(n)


def stamp(n: int) -> None:
    """Write down when the handler began."""
    moment = MOMENT.pack(n, time.monotonic())
    with _lock, (_folder / "moments").open("ab") as file:
        file.write(moment)
    empty(n)


def moments(folder: Path) -> dict[int, float]:
    """What the handlers wrote down, by job."""
    file = folder / "moments"
    return dict(MOMENT.iter_unpack(file.read_bytes())) if file.exists() else {}
