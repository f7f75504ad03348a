"""A worker drained beside 1,000 followers of the stream in one process, one of which never reads."""

import re
import sys
import time

from harness.app import empty
from harness.draining import Drained, drain
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import Place, new_place
from harness.process import Process

FOLLOWERS = 1_000
_EVENTS_PER_JOB = 3
_PATIENCE = 30.0


async def measure(options: Options) -> list[Figure]:
    """Each round drains without followers and with them, in turn."""
    alone: list[Drained] = []
    followed: list[Drained] = []
    peaks: list[float] = []
    shares: list[float] = []
    for _ in range(options.repeats):
        with new_place() as place:
            alone.append(await drain(place, lambda n: empty.job(n=n), options.jobs))
        with new_place() as place:
            async with place.engine():
                pass
            log = place.folder / "followers.log"
            events = options.jobs * _EVENTS_PER_JOB
            command = [sys.executable, "-m", "harness.followers", place.url, str(FOLLOWERS), str(events)]
            with Process(command, place.environment, log) as followers:
                _wait_for(followers, place, "following")
                followed.append(await drain(place, lambda n: empty.job(n=n), options.jobs))
                peaks.append(followers.peak_rss_mib())
            (seen,) = re.findall(r"seen (\d+)", log.read_text())
            shares.append(int(seen) / (options.jobs * _EVENTS_PER_JOB * (FOLLOWERS - 1)))
    ratios = [
        with_them.per_second / without.per_second for with_them, without in zip(followed, alone, strict=True)
    ]
    cpu = [
        with_them.cpu_micros / without.cpu_micros for with_them, without in zip(followed, alone, strict=True)
    ]
    return [
        figure("drained per second, over that without followers", ratios, "x"),
        figure("worker CPU per job, over that without followers", cpu, "x", at_most=1.1),
        figure("peak RSS of the process of followers", peaks, "MiB", at_most=200),
        figure("events that the 999 have seen, over those that there are", shares, "x", at_least=1),
        figure("drained with followers", [one.per_second for one in followed], "jobs/s"),
        figure("drained without", [one.per_second for one in alone], "jobs/s"),
    ]


def _wait_for(process: Process, place: Place, word: str) -> None:
    end = time.monotonic() + _PATIENCE
    while word not in (place.folder / "followers.log").read_text():
        process.check_alive()
        if time.monotonic() > end:
            raise TimeoutError(f"the followers did not begin within {_PATIENCE:g} s")
        time.sleep(0.05)


SCENARIO = Scenario(
    name="followers",
    about="Empty async jobs, one worker process, beside a process of 1,000 followers of all events.",
    measure=measure,
    options=Options(jobs=20_000, repeats=3),
    quick=Options(jobs=5_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
