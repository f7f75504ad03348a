"""Empty async jobs drained from SQLite, beside huey's SQLite store and a bare loop over the same driver."""

from dataclasses import dataclass, field

from harness import bare
from harness.app import echo, empty
from harness.draining import Drained, drain
from harness.figures import Figure, Options, Scenario, figure, main
from harness.huey_jobs import HueyJobs
from harness.place import new_place, until_ran
from harness.tally import Totals, prove

# 25 µs where the bare loop drains 171,000 jobs/s, as a ratio that holds on slower machines too
_LOOPS = 25e-6 * 171_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _HueyDrained:
    per_second: float
    cpu_micros: float


@dataclass(slots=True)
class _Rounds:
    """One entry per round."""

    ours: list[Drained] = field(default_factory=list)
    with_results: list[Drained] = field(default_factory=list)
    huey: list[_HueyDrained] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


async def measure(options: Options) -> list[Figure]:
    """Each round drains all of them once, in turn, so that the machine's mood is the same for all."""
    rounds = _Rounds()
    for _ in range(options.repeats):
        with new_place() as place:
            rounds.ours.append(await drain(place, lambda n: empty.job(n=n), options.jobs))
            rounds.bare.append(bare.drain_per_second(place.folder, options.jobs))
        with new_place() as place:
            rounds.with_results.append(await drain(place, lambda n: echo.job(n=n), options.jobs))
        rounds.huey.append(await _huey(options.jobs))
    return _figures(rounds)


async def _huey(jobs: int) -> _HueyDrained:
    with new_place() as place:
        store = HueyJobs.at(place, fsync=False)
        for number in range(jobs):
            store.empty(number)
        with place.huey() as process:
            await until_ran(place.board, jobs, process)
            totals: Totals = place.board.read()
            cpu_seconds = process.cpu_seconds() - totals.first_cpu
    prove(totals, jobs)
    return _HueyDrained(per_second=jobs / totals.seconds, cpu_micros=cpu_seconds / jobs * 1e6)


def _figures(rounds: _Rounds) -> list[Figure]:
    ours, results = rounds.ours, rounds.with_results
    ratios = [one.per_second / huey.per_second for one, huey in zip(ours, rounds.huey, strict=True)]
    cpu = [huey.cpu_micros / one.cpu_micros for one, huey in zip(ours, rounds.huey, strict=True)]
    loops = [one.cpu_micros * loop / 1e6 for one, loop in zip(ours, rounds.bare, strict=True)]
    shares = [one.per_second / loop for one, loop in zip(ours, rounds.bare, strict=True)]
    return [
        figure("drained per second, over huey's", ratios, "x", at_least=10),
        figure("huey's worker CPU per job, over ours", cpu, "x"),
        figure("drained per second, over a bare loop's", shares, "x"),
        figure("worker CPU per job", [one.cpu_micros for one in ours], "µs", at_most=25),
        figure("worker CPU per job, over a bare loop's time", loops, "x", at_most=_LOOPS),
        figure("worker CPU per job with a result", [one.cpu_micros for one in results], "µs"),
        figure("peak RSS of the worker", [one.peak_mib for one in ours], "MiB", at_most=60),
        figure("drained", [one.per_second for one in ours], "jobs/s"),
        figure("drained, with a result", [one.per_second for one in results], "jobs/s"),
        figure("drained by huey", [one.per_second for one in rounds.huey], "jobs/s"),
        figure("drained by a bare loop", rounds.bare, "jobs/s"),
    ]


SCENARIO = Scenario(
    name="drain",
    about="Empty async jobs, default settings (status, result, events), one worker process of 100 slots.",
    measure=measure,
    options=Options(jobs=20_000, repeats=5),
    quick=Options(jobs=5_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
