"""Takes a lock and holds it until it is killed. Arguments: URL, what to do before it waits for the lock."""

import asyncio
import sys

from aiojobs_engine import Engine, SingletonHeld

LEASE = 0.8


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(url: str, role: str) -> None:
    async with Engine(url) as engine:
        if role == "second":
            try:
                async with engine.singleton("nightly", lease=LEASE, timeout=2.5 * LEASE):
                    say("no lock")
            except SingletonHeld as error:
                say("held", error.owner)
        async with engine.singleton("nightly", lease=LEASE) as lock:
            say("token", lock.token, lock.owner)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
