"""Kill workers under load on SQLite, and have what is left judged by a checker apart from the engine.

`python benchmarks/kills.py --kills 200 --stops 50 --lease 2` takes about seven minutes. It ends with 1 when a
law was broken, and then keeps the folder with all that was written down.
"""

import argparse
import json
import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio
from chaos.app import registry
from chaos.eyes import SqliteEyes
from chaos.journal import DATABASE
from chaos.nemesis import Nemesis, plan
from chaos.producer import Producer
from chaos.verdict import LAWS, SHOWN, Verdict, judge, within
from harness.figures import machine
from harness.process import Process

from aiojobs_engine import Engine

_SLOTS = "10"
_QUIET_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is done to whom; `every` is the mean time between two deeds, in seconds."""

    kills: int
    stops: int
    drains: int
    lease: float
    workers: int
    every: float
    seed: int

    @property
    def goal(self) -> float:
        """Seconds within which the jobs of a killed worker are to run again."""
        return 3.5 if self.lease <= 2 else self.lease + 5


async def carry_out(folder: Path, options: Options) -> bool:
    """Load, nemesis and reader at once; whether all was quiet in the end."""
    rng = Random(options.seed)
    (folder / "logs").mkdir()
    eyes = SqliteEyes(folder)
    engine = Engine(
        f"sqlite:///{folder / DATABASE}",
        registry=registry,
        config={"storage": {"path": str(folder / "files")}},
    )
    async with engine:
        nemesis = Nemesis(
            folder, rng, partial(_worker, folder, options), eyes, count=options.workers, lease=options.lease
        )
        producer = Producer(folder, Random(options.seed + 1), engine, eyes)
        try:
            async with anyio.create_task_group() as load:
                load.start_soon(producer.dispatch)
                load.start_soon(producer.import_rows)
                load.start_soon(producer.read)
                deeds = plan(rng, kills=options.kills, stops=options.stops, drains=options.drains)
                await nemesis.run(deeds, options.every)
                producer.is_stopping = True
                is_quiet = await producer.until_quiet(_QUIET_SECONDS + 2 * options.lease)
                load.cancel_scope.cancel()
            nemesis.end()
        finally:
            nemesis.close()
            producer.close()
    return is_quiet


def _worker(folder: Path, options: Options) -> Process:
    command = [sys.executable, "-m", "aiojobs_engine", "worker", "chaos.app:engine", "-c", _SLOTS]
    environment = {
        "AIOJOBS_URL": f"sqlite:///{folder / DATABASE}",
        "AIOJOBS_STORAGE__PATH": str(folder / "files"),
        "AIOJOBS_WORKER__LEASE": str(options.lease),
        "CHAOS_FOLDER": str(folder),
    }
    return Process(command, environment, folder / "logs" / "workers.log")


def as_text(options: Options, verdict: Verdict, setting: dict[str, Any]) -> str:
    """The verdict for people."""
    slowest, usual = within(verdict.recoveries, 1.0), within(verdict.recoveries, 0.99)
    beside = within(verdict.beside_stops, 1.0)
    goal = f"goal {options.goal:g} s {'met' if slowest <= options.goal else 'MISSED'}"
    lines = [
        ", ".join(f"{key} {value}" for key, value in setting.items()),
        f"seed {options.seed}, lease {options.lease:g} s, {options.workers} workers of {_SLOTS} slots",
        f"{verdict.kills} kills, {verdict.stops} stops, {verdict.drains} drains",
        f"{verdict.acknowledged:,} jobs acknowledged, {verdict.jobs:,} with chunks, {verdict.runs:,} runs",
        f"{verdict.imports} imports, seen {verdict.reads:,} times",
        ", ".join(f"{law} {verdict.count(law)}" for law in LAWS),
        f"{verdict.held} jobs in hand of killed workers, {verdict.gone} of them were out of crashes",
        f"run again within {slowest:.2f} s, p99 {usual:.2f} s ({goal}); beside a stop within {beside:.2f} s",
        f"{verdict.unexplained} leases lost by workers that stood still by themselves",
        f"{verdict.gave_up} workers gave up at a locked file when they started",
    ]
    lines += [f"BROKEN {breach.law}: {breach.job_id} {breach.detail}" for breach in verdict.breaches[:SHOWN]]
    return "\n".join(lines)


def as_json(options: Options, verdict: Verdict, setting: dict[str, Any]) -> str:
    """The verdict as one JSON object."""
    record = {
        "machine": setting,
        "seed": options.seed,
        "lease": options.lease,
        "kills": verdict.kills,
        "stops": verdict.stops,
        "drains": verdict.drains,
        "jobs": verdict.acknowledged,
        "runs": verdict.runs,
        "imports": verdict.imports,
        "reads": verdict.reads,
        "held": verdict.held,
        "recovery_max": within(verdict.recoveries, 1.0),
        "recovery_p99": within(verdict.recoveries, 0.99),
        "recovery_max_beside_stops": within(verdict.beside_stops, 1.0),
        "recovery_goal": options.goal,
        "out_of_crashes": verdict.gone,
        "unexplained": verdict.unexplained,
        "gave_up": verdict.gave_up,
        "broken": {law: verdict.count(law) for law in LAWS},
        "breaches": [f"{breach.law}: {breach.job_id} {breach.detail}" for breach in verdict.breaches[:SHOWN]],
    }
    return json.dumps(record, indent=2)


def parsed(arguments: list[str] | None = None) -> tuple[Options, bool, bool]:
    """The options, whether to print JSON, and whether to keep the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs")
    parser.add_argument("--stops", type=int, default=50, help="SIGSTOPs, each followed by a SIGCONT")
    parser.add_argument("--drains", type=int, default=10, help="SIGTERMs")
    parser.add_argument("--lease", type=float, default=10.0, help="seconds; the default is the engine's")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=1.5, help="mean seconds between two deeds")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    given = vars(parser.parse_args(arguments))
    is_json, is_kept = given.pop("json"), given.pop("keep")
    return Options(**given), is_json, is_kept


def main() -> None:
    """Carry out, judge, print."""
    options, is_json, is_kept = parsed()
    folder = Path(tempfile.mkdtemp(prefix="aiojobs-kills-"))
    anyio.run(carry_out, folder, options)
    verdict = judge(folder)
    print(as_json(options, verdict, machine()) if is_json else as_text(options, verdict, machine()))
    if is_kept or verdict.breaches:
        print(f"kept: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    sys.exit(1 if verdict.breaches else 0)


if __name__ == "__main__":
    main()
