"""Kill workers and the server under load on Redis, and have what is left judged by a checker.

`python benchmarks/kills_redis.py --minutes 30` is the long form; without it the numbers of deeds say how
long. It ends with 1 when a law was broken, and then keeps the folder with all that was written down.
"""

import argparse
import json
import secrets
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

import anyio
from chaos.app import registry
from chaos.nemesis import Nemesis, Trouble, plan
from chaos.producer import Producer
from chaos.redis_eyes import RedisEyes
from chaos.verdict import LAWS, SHOWN, Verdict, judge, within
from harness.figures import machine
from harness.process import Process

from aiojobs_engine import Engine
from tests.servers.server import Server, redis_on_path, valkey, version

_SLOTS = "10"
_QUIET_SECONDS = 120.0
_PREFIX = "kills"
_OPTIONS = f"prefix={_PREFIX}&max_events=100000000&timeout=2"
_SERVER = ("--appendonly", "yes", "--appendfsync", "always")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is done to whom; `every` is the mean time between two deeds, in seconds."""

    kills: int
    stops: int
    drains: int
    troubles: int
    lease: float
    workers: int
    every: float
    seed: int
    valkey: bool

    @property
    def goal(self) -> float:
        """Seconds within which the jobs of a killed worker are to run again: p99."""
        return 3.5 if self.lease <= 2 else self.lease + 5

    @property
    def binary(self) -> Path:
        """The server."""
        return valkey() if self.valkey else redis_on_path() or valkey()


def troubles(server: Server) -> Trouble:
    """What can be done to the server."""

    def frozen(seconds: float) -> None:
        server.freeze()
        time.sleep(seconds)
        server.thaw()

    def killed(_: float) -> None:
        server.kill()
        server.start()

    def paused(seconds: float) -> None:
        server.run("CLIENT", "PAUSE", round(seconds * 1000), "ALL")
        time.sleep(seconds)

    return Trouble(
        {
            "server restarted": lambda _: server.restart(),
            "server killed": killed,
            "server frozen": frozen,
            "clients paused": paused,
            "connections killed": lambda _: server.run("CLIENT", "KILL", "TYPE", "normal"),
            "scripts flushed": lambda _: server.run("SCRIPT", "FLUSH"),
        }
    )


async def carry_out(folder: Path, options: Options) -> bool:
    """Load, nemesis and reader at once; whether all was quiet in the end."""
    rng = Random(options.seed)
    (folder / "logs").mkdir()
    with Server(options.binary, folder / "server", *_SERVER) as server:
        url = f"{server.url}?{_OPTIONS}"
        eyes = RedisEyes(server.port, _PREFIX)
        trouble = troubles(server)
        names = sorted(trouble.deeds)
        others = [names[number % len(names)] for number in range(options.troubles)]
        async with AsyncExitStack() as stack:
            engines = [await stack.enter_async_context(_engine(folder, url)) for _ in range(2)]
            nemesis = Nemesis(
                folder,
                rng,
                partial(_worker, folder, url, options),
                eyes,
                count=options.workers,
                lease=options.lease,
                server=trouble,
            )
            producers = [
                Producer(folder, Random(options.seed + number), engine, eyes)
                for number, engine in enumerate(engines, 1)
            ]
            try:
                async with anyio.create_task_group() as load:
                    for producer in producers:
                        load.start_soon(producer.dispatch)
                        load.start_soon(producer.import_rows)
                        load.start_soon(producer.read)
                    deeds = plan(
                        rng, kills=options.kills, stops=options.stops, drains=options.drains, others=others
                    )
                    await nemesis.run(deeds, options.every)
                    for producer in producers:
                        producer.is_stopping = True
                    is_quiet = await producers[0].until_quiet(_QUIET_SECONDS + 2 * options.lease)
                    load.cancel_scope.cancel()
                nemesis.end()
                await eyes.dump(engines[0], folder)
            finally:
                nemesis.close()
                for producer in producers:
                    producer.close()
    return is_quiet


def _engine(folder: Path, url: str) -> Engine:
    return Engine(url, registry=registry, config={"storage": {"path": str(folder / "files")}})


def _worker(folder: Path, url: str, options: Options) -> Process:
    command = [sys.executable, "-m", "aiojobs_engine", "worker", "chaos.app:engine", "-c", _SLOTS]
    environment = {
        "AIOJOBS_URL": url,
        "AIOJOBS_STORAGE__PATH": str(folder / "files"),
        "AIOJOBS_WORKER__LEASE": str(options.lease),
        "CHAOS_FOLDER": str(folder),
    }
    return Process(command, environment, folder / "logs" / "workers.log")


def as_text(options: Options, verdict: Verdict, setting: dict[str, Any]) -> str:
    """The verdict for people."""
    usual, slowest = within(verdict.recoveries, 0.99), within(verdict.recoveries, 1.0)
    goal = f"goal {options.goal:g} s {'met' if usual <= options.goal else 'MISSED'}"
    lines = [
        ", ".join(f"{key} {value}" for key, value in setting.items()),
        f"seed {options.seed}, lease {options.lease:g} s, {options.workers} workers of {_SLOTS} slots",
        f"{verdict.kills} kills, {verdict.stops} stops, {verdict.drains} drains",
        ", ".join(f"{what} {count} times" for what, count in sorted(verdict.troubles.items())),
        f"{verdict.acknowledged:,} jobs acknowledged, {verdict.jobs:,} with chunks, {verdict.runs:,} runs",
        f"{verdict.imports} imports, seen {verdict.reads:,} times",
        ", ".join(f"{law} {verdict.count(law)}" for law in LAWS),
        f"{verdict.held} jobs in hand of killed workers, {verdict.gone} of them were out of crashes",
        f"run again within {slowest:.2f} s, p99 {usual:.2f} s ({goal})",
        f"within {within(verdict.beside_stops, 1.0):.2f} s while another worker or the server stood still",
        f"{verdict.unexplained} leases lost by workers that nobody had struck: the server stood still",
    ]
    lines += [f"BROKEN {breach.law}: {breach.job_id} {breach.detail}" for breach in verdict.breaches[:SHOWN]]
    return "\n".join(lines)


def as_json(options: Options, verdict: Verdict, setting: dict[str, Any]) -> str:
    """The verdict as one JSON object."""
    record = {
        "machine": setting,
        "options": asdict(options),
        "kills": verdict.kills,
        "stops": verdict.stops,
        "drains": verdict.drains,
        "troubles": dict(verdict.troubles),
        "jobs": verdict.acknowledged,
        "runs": verdict.runs,
        "imports": verdict.imports,
        "reads": verdict.reads,
        "held": verdict.held,
        "recovery_max": within(verdict.recoveries, 1.0),
        "recovery_p99": within(verdict.recoveries, 0.99),
        "recovery_goal": options.goal,
        "unexplained": verdict.unexplained,
        "broken": {law: verdict.count(law) for law in LAWS},
        "breaches": [f"{breach.law}: {breach.job_id} {breach.detail}" for breach in verdict.breaches[:SHOWN]],
    }
    return json.dumps(record, indent=2)


def parsed(arguments: list[str] | None = None) -> tuple[Options, bool, bool]:
    """The options, whether to print JSON, and whether to keep the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="SIGKILLs of workers")
    parser.add_argument("--stops", type=int, default=15, help="SIGSTOPs of workers, each with a SIGCONT")
    parser.add_argument("--drains", type=int, default=5, help="SIGTERMs of workers")
    parser.add_argument("--troubles", type=int, default=40, help="deeds to the server, of six kinds in turn")
    parser.add_argument("--minutes", type=float, help="as many deeds, in the same shares, as fill these")
    parser.add_argument("--lease", type=float, default=10.0, help="seconds; the default is the engine's")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=1.5, help="mean seconds between two deeds")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--valkey", action="store_true", help="Valkey, also where there is a Redis")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    given = vars(parser.parse_args(arguments))
    is_json, is_kept, minutes = given.pop("json"), given.pop("keep"), given.pop("minutes")
    if minutes is not None:
        counts = ("kills", "stops", "drains", "troubles")
        times = minutes * 60 / given["every"] / sum(given[name] for name in counts)
        given.update({name: round(given[name] * times) for name in counts})
    return Options(**given), is_json, is_kept


def main() -> None:
    """Carry out, judge, print."""
    options, is_json, is_kept = parsed()
    folder = Path(tempfile.mkdtemp(prefix="aiojobs-kills-"))
    anyio.run(carry_out, folder, options)
    verdict = judge(folder)
    setting = {**machine(), "server": version(options.binary)}
    print(as_json(options, verdict, setting) if is_json else as_text(options, verdict, setting))
    if is_kept or verdict.breaches:
        print(f"kept: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    sys.exit(1 if verdict.breaches else 0)


if __name__ == "__main__":
    main()
