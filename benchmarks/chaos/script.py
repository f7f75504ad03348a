"""What the scripts that kill have in common: options, the verdict as text and as JSON, the end."""

import argparse
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio

from chaos.verdict import LAWS, SHOWN, Verdict, judge, within

SLOTS = 10


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
    troubles: int = 0
    valkey: bool = False

    @property
    def goal(self) -> float:
        """Seconds within which the jobs of a killed worker are to run again."""
        return 3.5 if self.lease <= 2 else self.lease + 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One script: `carry_out` does the deeds in a folder; `share` (0 .. 1) of recoveries keep the goal."""

    carry_out: Callable[[Path, Options], Awaitable[object]]
    setting: Callable[[Options], dict[str, Any]]
    share: float

    def main(self, parser: argparse.ArgumentParser) -> None:
        """Carry out, judge, print; end with 1 when a law was broken."""
        options, is_json, is_kept = _parsed(parser)
        folder = Path(tempfile.mkdtemp(prefix="aiojobs-kills-"))
        anyio.run(self.carry_out, folder, options)
        verdict = judge(folder)
        shown = self._json if is_json else self._text
        print(shown(options, verdict))
        if is_kept or verdict.breaches:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
        sys.exit(1 if verdict.breaches else 0)

    def _text(self, options: Options, verdict: Verdict) -> str:
        found = verdict.recoveries
        slowest, usual = within(found.alone, 1.0), within(found.alone, 0.99)
        again, beside = within(found.struck_again, 1.0), within(found.beside_stops, 1.0)
        held_up = within(found.beside_stops, 0.99)
        is_kept = within(found.alone, self.share) <= options.goal
        goal = f"goal {options.goal:g} s {'met' if is_kept else 'MISSED'}"
        lines = [
            ", ".join(f"{key} {value}" for key, value in self.setting(options).items()),
            f"seed {options.seed}, lease {options.lease:g} s, {options.workers} workers of {SLOTS} slots",
            f"{verdict.kills} kills, {verdict.stops} stops, {verdict.drains} drains",
            *([_troubles(verdict)] if verdict.troubles else []),
            f"{verdict.acknowledged:,} jobs stored, {verdict.jobs:,} with chunks, {verdict.runs:,} runs",
            f"{verdict.imports} imports, seen {verdict.reads:,} times",
            ", ".join(f"{law} {verdict.count(law)}" for law in LAWS),
            f"{verdict.held} jobs in hand of killed workers, {found.gone} of them were out of crashes",
            f"{len(found.alone):,} run again within {slowest:.2f} s, p99 {usual:.2f} s ({goal})",
            f"{len(found.struck_again)} struck twice on the way, within {again:.2f} s of the first kill",
            f"{len(found.beside_stops):,} within {beside:.2f} s, p99 {held_up:.2f} s, beside a stop",
            f"{verdict.unexplained} leases lost by workers that nobody had struck",
            f"{verdict.gave_up} workers gave up when they started",
        ]
        return "\n".join(lines + [f"BROKEN {breach}" for breach in _breaches(verdict)])

    def _json(self, options: Options, verdict: Verdict) -> str:
        found = verdict.recoveries
        record = {
            "machine": self.setting(options),
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
            "recovery_max": within(found.alone, 1.0),
            "recovery_p99": within(found.alone, 0.99),
            "recovery_max_struck_again": within(found.struck_again, 1.0),
            "recovery_max_beside_stops": within(found.beside_stops, 1.0),
            "recovery_goal": options.goal,
            "out_of_crashes": found.gone,
            "unexplained": verdict.unexplained,
            "gave_up": verdict.gave_up,
            "broken": {law: verdict.count(law) for law in LAWS},
            "breaches": _breaches(verdict),
        }
        return json.dumps(record, indent=2)


def parser(about: str | None, *, kills: int, stops: int, drains: int) -> argparse.ArgumentParser:
    """The options that all scripts take, with so many deeds where nothing is said."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--kills", type=int, default=kills, help="SIGKILLs of workers")
    made.add_argument("--stops", type=int, default=stops, help="SIGSTOPs, each followed by a SIGCONT")
    made.add_argument("--drains", type=int, default=drains, help="SIGTERMs")
    made.add_argument("--minutes", type=float, help="as many deeds, in the same shares, as fill these")
    made.add_argument("--lease", type=float, default=10.0, help="seconds; the default is the engine's")
    made.add_argument("--workers", type=int, default=3)
    made.add_argument("--every", type=float, default=1.5, help="mean seconds between two deeds")
    made.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--keep", action="store_true", help="keep the folder")
    return made


def _parsed(parser: argparse.ArgumentParser) -> tuple[Options, bool, bool]:
    given = vars(parser.parse_args())
    is_json, is_kept, minutes = given.pop("json"), given.pop("keep"), given.pop("minutes")
    if minutes is not None:
        counts = [name for name in ("kills", "stops", "drains", "troubles") if name in given]
        times = minutes * 60 / given["every"] / sum(given[name] for name in counts)
        given.update({name: round(given[name] * times) for name in counts})
    return Options(**given), is_json, is_kept


def _troubles(verdict: Verdict) -> str:
    return ", ".join(f"{what} {count} times" for what, count in sorted(verdict.troubles.items()))


def _breaches(verdict: Verdict) -> list[str]:
    return [f"{breach.law}: {breach.job_id} {breach.detail}" for breach in verdict.breaches[:SHOWN]]
