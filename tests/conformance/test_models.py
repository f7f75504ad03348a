import os

from hypothesis import HealthCheck, settings

from aiojobs_engine.testing.model import BackendModel

EXAMPLES = 300 if os.environ.get("AIOJOBS_CI") == "1" else 60
PROFILE = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

TestMemoryModel = BackendModel.TestCase
TestMemoryModel.settings = PROFILE
