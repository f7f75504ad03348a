"""Jobs that do nothing themselves, so that all that is counted is the engine's."""

from aiojobs_engine import JobContext, JobRegistry, Retry

ATTEMPTS = 3

registry = JobRegistry()


@registry.job(name="empty")
async def empty(n: int) -> None:
    """Do nothing."""


@registry.job(name="echo")
async def echo(n: int) -> int:
    """Give a result."""
    return n


@registry.job(name="fail", retry=Retry.exponential(max_attempts=ATTEMPTS, base=0))
async def fail(n: int) -> None:
    """Fail each time."""
    raise ValueError("no luck")


@registry.job(name="report")
async def report(ctx: JobContext, n: int) -> None:
    """Report progress far more often than it is shown."""
    for done in range(100):
        await ctx.progress(done, 1_000)
