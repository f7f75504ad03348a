"""Sends jobs to a rival and times that: `python -m peers.sending arq_app many empty 30000`.

Runs in the rival's own environment. `many` sends as fast as the rival's documentation shows, `one` one by
one, `steady` one each 20 ms with the moment of each; the last line printed is JSON. `work` runs its worker,
`install` what that needs first.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

EVERY = 0.02
SLICE = 100


def main() -> None:
    """Do what the command line says; without `send_many`, 100 single calls at once stand in for it."""
    name, mode, *rest = sys.argv[1:]
    app = import_module(f"peers.apps.{name}")
    if mode in ("work", "install"):
        asyncio.run(app.serve() if mode == "work" else app.install())
        return
    task, count = rest
    print(json.dumps(asyncio.run(_sent(app, mode, task, int(count)))))


async def _sent(app: ModuleType, mode: str, task: str, count: int) -> dict[str, Any]:
    async def gathered(name: str, numbers: Sequence[int]) -> object:
        return await asyncio.gather(*(app.send(name, number) for number in numbers))

    async with app.opened():
        if mode == "steady":
            return {"sent": await _steady(app.send, task, count)}
        many = getattr(app, "send_many", gathered)
        began = time.monotonic()
        if mode == "one":
            for number in range(count):
                await app.send(task, number)
        else:
            for first in range(0, count, SLICE):
                await many(task, range(first, min(first + SLICE, count)))
        return {"seconds": time.monotonic() - began}


async def _steady(send: Callable[[str, int], Awaitable[object]], task: str, count: int) -> dict[int, float]:
    sent: dict[int, float] = {}
    for number in range(count):
        sent[number] = time.monotonic()
        await send(task, number)
        await asyncio.sleep(EVERY)
    return sent


if __name__ == "__main__":
    main()
