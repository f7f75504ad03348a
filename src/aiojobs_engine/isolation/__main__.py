"""`python -m aiojobs_engine.isolation TARGET DESCRIPTOR`, as a worker starts it."""

import sys

from aiojobs_engine.core.errors import BackendUnavailable, EngineError
from aiojobs_engine.isolation.child import run_child
from aiojobs_engine.isolation.wire import STORE_AWAY

if __name__ == "__main__":
    try:
        run_child(int(sys.argv[2]))
    except BackendUnavailable:
        sys.exit(STORE_AWAY)
    except EngineError as error:
        sys.exit(f"{sys.argv[1]} can't run a job alone: {error}")
