"""A script that a process for a job can't load: its start stands under no `if __name__ == "__main__"`."""

import asyncio
import sys

from aiojobs_engine import Engine, JobFailedError, Retry

engine = Engine("URL")


@engine.job(name="plain", run_in="process", retry=Retry.none(), max_crashes=1)
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
            told = f"failed {error}"
    sys.stdout.write(told)


asyncio.run(main())
