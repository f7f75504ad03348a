"""Every scenario in its quick form, and one table: `python benchmarks/all.py`."""

import argparse
import asyncio
import json
import os
from dataclasses import asdict

import backlog
import backlog_redis
import crons
import dispatch
import drain
import exports
import failing
import features
import followers
import idle
import idle_redis
import imports
import payload
import pickup
import processes
import sleepers
from harness.figures import Figure, Scenario, as_markdown, machine, table

SCENARIOS = [
    module.SCENARIO
    for module in (
        drain,
        followers,
        sleepers,
        dispatch,
        crons,
        pickup,
        idle,
        idle_redis,
        processes,
        payload,
        failing,
        features,
        backlog,
        backlog_redis,
        exports,
        imports,
    )
]


def main() -> None:
    """Measure them one after the other."""
    parser = argparse.ArgumentParser(description="Every scenario, less of each unless --full is given.")
    parser.add_argument("--full", action="store_true", help="as much of each as it does alone")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", action="store_true", help="print a table in Markdown")
    given = parser.parse_args()
    setting = {**machine(), "load": [round(os.getloadavg()[0], 2)]}
    figures = {scenario.name: _measured(scenario, is_full=given.full) for scenario in SCENARIOS}
    if given.json:
        told = {name: [asdict(each) for each in some] for name, some in figures.items()}
        print(json.dumps({"machine": setting, "scenarios": told}, indent=2))
        return
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    if given.markdown:
        print(as_markdown(figures))
        return
    for name, some in figures.items():
        print("\n".join([name, *table(some)]))


def _measured(scenario: Scenario, *, is_full: bool) -> list[Figure]:
    return asyncio.run(scenario.run(scenario.options if is_full else scenario.quick))


if __name__ == "__main__":
    main()
