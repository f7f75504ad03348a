"""One queue drained from one server and, partitioned, from two of a Cluster: the CPU of each server per job.

Servers and workers share the machine, so its cores bound how much faster two servers can be; the CPU that a
server needs for a job doesn't depend on that. Every run proves that each job ran once.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from harness.app import empty, registry
from harness.draining import Drained, drain
from harness.figures import Figure, Options, Scenario, figure, main
from harness.place import Place
from harness.process import Process, cpu_seconds_of

from aiojobs_engine import Engine, Status

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.groups import Cluster
from tests.servers.server import redis_on_path, valkey

WORKERS = 2


class _Shared(Place):
    """A store on servers, and the CPU time that they have taken since the workers were started."""

    def __init__(self, folder: Path, cluster: Cluster, homes: int) -> None:
        config = folder / "aiojobs.toml"
        config.write_text(f"[queues.default]\npartitions = {homes}\n", encoding="ascii")
        super().__init__(folder, AIOJOBS_CONFIG=str(config))
        self._config = config
        self._url = f"{cluster.url}?homes={homes}"
        self._servers = cluster.nodes
        self._before: list[float] = []

    @property
    def url(self) -> str:
        return self._url

    def engine(self) -> Engine:
        return Engine(self.url, registry=registry, config=str(self._config))

    def worker(self, concurrency: int = 100, *options: str) -> Process:
        self._before = self._before or self._cpu()
        return super().worker(concurrency, *options)

    async def until_settled(self) -> None:
        async with self.engine() as engine:
            while ("default", Status.PROCESSING) in await engine.store.counts():  # noqa: ASYNC110 - of others
                await anyio.sleep(0.005)

    def server_micros(self, jobs: int) -> list[float]:
        """CPU time per job of each server, µs."""
        return [
            (after - before) / jobs * 1e6 for before, after in zip(self._before, self._cpu(), strict=True)
        ]

    def _cpu(self) -> list[float]:
        return [cpu_seconds_of(server.pid) for server in self._servers]


@dataclass(slots=True)
class _Rounds:
    """One entry per round; µs of server CPU per job of the queue."""

    drained: list[Drained] = field(default_factory=list)
    busiest: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)

    async def add(self, servers: int, homes: int, jobs: int) -> None:
        with TemporaryDirectory() as name:
            folder = Path(name)
            with Cluster(redis_on_path() or valkey(), folder / "servers", primaries=servers) as cluster:
                place = _Shared(folder, cluster, homes)
                self.drained.append(await drain(place, lambda n: empty.job(n=n), jobs, workers=WORKERS))
                micros = place.server_micros(jobs)
        self.busiest.append(max(micros))
        self.together.append(sum(micros))


async def measure(options: Options) -> list[Figure]:
    """Each round drains all three in turn."""
    whole, split, apart = _Rounds(), _Rounds(), _Rounds()
    for _ in range(options.repeats):
        await whole.add(1, 1, options.jobs)
        await split.add(1, 2, options.jobs)
        await apart.add(2, 2, options.jobs)
    rates = zip(apart.drained, split.drained, strict=True)
    shares = zip(apart.busiest, whole.busiest, strict=True)
    kinds = (("one home", whole), ("two homes, one server", split), ("two homes, two servers", apart))
    return [
        figure("CPU of the busiest of two servers, over the one", [two / one for two, one in shares], "x"),
        figure(
            "drained from two servers, over one", [two.per_second / one.per_second for two, one in rates], "x"
        ),
        *(figure(f"CPU per job of the busiest server: {name}", kind.busiest, "µs") for name, kind in kinds),
        *(figure(f"CPU per job of all servers: {name}", kind.together, "µs") for name, kind in kinds),
        *(
            figure(f"CPU per job of the workers: {name}", [one.cpu_micros for one in kind.drained], "µs")
            for name, kind in kinds
        ),
        *(
            figure(f"drained: {name}", [one.per_second for one in kind.drained], "jobs/s")
            for name, kind in kinds
        ),
    ]


SCENARIO = Scenario(
    name="homes",
    about="Empty async jobs of one queue on Redis, two worker processes of 100 slots each.",
    measure=measure,
    options=Options(jobs=40_000, repeats=3),
    quick=Options(jobs=10_000, repeats=1),
)

if __name__ == "__main__":
    main(SCENARIO)
