"""The chaos that the benchmarks unleash is judged by code that lies among them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
