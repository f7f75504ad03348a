"""What each thing that follows the jobs costs: events, logs and execution logs, metrics, recorded spans."""

from dataclasses import dataclass, field

from harness.app import empty
from harness.draining import drain
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import new_place

_SILENT = {"AIOJOBS_LISTENERS__LOG": "false", "AIOJOBS_LISTENERS__BROADCAST": "false"}


def _logged(handler: str) -> dict[str, str]:
    return {"AIOJOBS_EXECUTION_LOG__HANDLERS": f'["{handler}"]'}


@dataclass(frozen=True, slots=True)
class _Variant:
    """A way to run the same jobs.

    Attributes:
        settings: variables of the worker's environment; `BENCHMARK_FOLLOWED` is read by `harness/app.py`.
        options: words of its command line.
    """

    name: str
    settings: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    at_most: float | None = None


_BARE = _Variant("bare: no listener", _SILENT)
_VARIANTS = (
    _Variant("the default set", at_most=1.5),
    _Variant("every event heard by a listener", {**_SILENT, "BENCHMARK_FOLLOWED": "listener"}),
    _Variant("a line per job in a log file", {}, ("-v",)),
    _Variant("the same in JSON", {}, ("-v", "--log-format", "json")),
    _Variant("execution log to NDJSON files", {**_SILENT, **_logged("file")}),
    _Variant("execution log to the database", {**_SILENT, **_logged("database")}),
    _Variant("metrics", _SILENT, ("--metrics-port", "0")),
    _Variant("recorded spans", {**_SILENT, "BENCHMARK_FOLLOWED": "spans"}),
    _Variant(
        "the default set, metrics and recorded spans",
        {"BENCHMARK_FOLLOWED": "spans"},
        ("--metrics-port", "0"),
    ),
)


async def measure(options: Options) -> list[Figure]:
    """Each round drains once in every variant, so that the machine's mood is the same for all."""
    micros: dict[str, list[float]] = {variant.name: [] for variant in (_BARE, *_VARIANTS)}
    for _ in range(options.repeats):
        for variant in (_BARE, *_VARIANTS):
            with new_place(**variant.settings) as place:
                drained = await drain(place, lambda n: empty.job(n=n), options.jobs, options=variant.options)
            micros[variant.name].append(drained.cpu_micros)
    bare = micros[_BARE.name]
    figures = [figure(f"worker CPU per job, {_BARE.name}", bare, "µs")]
    for variant in _VARIANTS:
        taken = micros[variant.name]
        ratios = [one / other for one, other in zip(taken, bare, strict=True)]
        figures.append(figure(f"worker CPU per job, {variant.name}", taken, "µs"))
        figures.append(figure(f"{variant.name}, over bare", ratios, "x", at_most=variant.at_most))
    return figures


SCENARIO = Scenario(
    name="features",
    about="Empty async jobs, one worker process: nothing follows them, then each feature in turn.",
    measure=measure,
    options=Options(jobs=20_000, repeats=5),
    quick=Options(jobs=5_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
