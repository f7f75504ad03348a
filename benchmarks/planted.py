"""How often the checker sees each of twelve planted bugs, and whether all is clean without one.

`python benchmarks/planted.py --seeds 50` simulates workers that are struck, on the memory store in virtual
time. It ends with 1 when a bug is never seen, or something that is no bug.
"""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import anyio
from chaos.laws import breaches

from tests.faults.planted.bugs import BUGS, LAWFUL, Bug
from tests.faults.planted.ground import MemoryGround
from tests.faults.planted.inline import without_threads
from tests.faults.planted.simulation import Simulation


def broken(bug: Bug, seed: int) -> set[str]:
    """The laws that are broken in one run with a bug."""
    with tempfile.TemporaryDirectory() as folder, without_threads():
        simulation = Simulation(seed, Path(folder), MemoryGround(bug.store), bug.client)
        return {breach.law for breach in breaches(anyio.run(simulation.run))}


def main() -> int:
    """Try all seeds on all bugs; 1 when the checker is blind, or sees what is not there."""
    parser = argparse.ArgumentParser(description="See each planted bug, and nothing else.")
    parser.add_argument("--seeds", type=int, default=50)
    seeds = range(1, parser.parse_args().seeds + 1)
    logging.disable(logging.CRITICAL)
    faulty = [seed for seed in seeds if broken(Bug("none", frozenset(), client=LAWFUL), seed)]
    print(f"no bug: {len(seeds) - len(faulty)} of {len(seeds)} seeds clean {faulty or ''}")
    is_blind = False
    for bug in BUGS:
        seen = [seed for seed in seeds if bug.laws & broken(bug, seed)]
        first = f", first by seed {seen[0]}" if seen else ""
        print(f"{bug.name}: seen by {len(seen)} of {len(seeds)} seeds{first}", flush=True)
        is_blind = is_blind or not seen
    return 1 if faulty or is_blind else 0


if __name__ == "__main__":
    sys.exit(main())
