"""A job in an SQLite file, run by a worker inside this program."""

import asyncio

from aiojobs_engine import Engine, Retry

engine = Engine("sqlite:///jobs.db")


@engine.job(queue="mail", retry=Retry.exponential(max_attempts=5, base=2))
async def send_welcome(account_id: int) -> str:
    return f"sent {account_id}"


async def main() -> None:
    async with engine.running():
        handle = await engine.dispatch(send_welcome, account_id=42)
        print(await handle.result(timeout=10))


if __name__ == "__main__":
    asyncio.run(main())
