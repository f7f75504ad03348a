"""A script that can't be loaded where its arguments are missing, as in a process for a job."""

import asyncio
import sys

from aiojobs_engine import Engine, JobFailedError, Retry

engine = Engine(sys.argv[1])


@engine.job(name="plain", run_in="process", retry=Retry.none())
def plain() -> int:
    """Return something."""
    return 7


async def main() -> None:
    """Run one job."""
    async with engine.running():
        handle = await engine.dispatch(plain)
        try:
            told = f"value {await handle.result(timeout=30)}"
        except JobFailedError as error:
            told = f"failed {error} after {(await handle.status()).crashes} crashes"
    sys.stdout.write(told)


if __name__ == "__main__":
    asyncio.run(main())
