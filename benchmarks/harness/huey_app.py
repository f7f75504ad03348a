"""What huey's consumer is pointed at: `harness.huey_app.huey`."""

import os
from pathlib import Path

from harness.huey_jobs import HueyJobs
from harness.tally import Tally

jobs = HueyJobs(Path(os.environ["BENCHMARK_HUEY"]), Tally(Path(os.environ["BENCHMARK_TALLY"])))
huey = jobs.huey
