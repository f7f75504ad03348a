"""The suite that every store passes, the package's own and anybody else's.

A store joins with two fixtures and one line:

    @pytest.fixture
    def clock() -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def backend(clock: ManualClock, tmp_path: Path) -> AsyncIterator[MyBackend]:
        backend = MyBackend(tmp_path / "jobs", clock=clock)
        await backend.open()
        yield backend
        await backend.close()

    class TestMyBackend(BackendContract): ...

It needs pytest and pytest-asyncio in its auto mode.
"""

import pytest

_THEMES = (
    "batch",
    "chunk",
    "claim",
    "control",
    "cron",
    "cron_order",
    "enqueue",
    "event",
    "fence",
    "flow",
    "gather",
    "inspector",
    "kin",
    "key_limit",
    "laws",
    "limit",
    "place",
    "promote",
    "prune",
    "race",
    "record",
    "rescue",
    "revival",
    "room",
    "settle",
    "stage",
    "unique",
    "waiting",
)
pytest.register_assert_rewrite(*[f"{__name__}.{theme}" for theme in _THEMES])

from aiojobs_engine.testing.conformance.batch import BatchContract  # noqa: E402 - after the rewriting is on
from aiojobs_engine.testing.conformance.chunk import ChunkContract  # noqa: E402
from aiojobs_engine.testing.conformance.claim import ClaimContract  # noqa: E402
from aiojobs_engine.testing.conformance.control import ControlContract  # noqa: E402
from aiojobs_engine.testing.conformance.cron import CronContract  # noqa: E402
from aiojobs_engine.testing.conformance.cron_order import CronOrderContract  # noqa: E402
from aiojobs_engine.testing.conformance.enqueue import EnqueueContract  # noqa: E402
from aiojobs_engine.testing.conformance.event import EventContract  # noqa: E402
from aiojobs_engine.testing.conformance.execution import ExecutionContract  # noqa: E402
from aiojobs_engine.testing.conformance.fence import FenceContract  # noqa: E402
from aiojobs_engine.testing.conformance.flow import FlowContract  # noqa: E402
from aiojobs_engine.testing.conformance.gather import GatherContract  # noqa: E402
from aiojobs_engine.testing.conformance.inspector import InspectorContract  # noqa: E402
from aiojobs_engine.testing.conformance.key_limit import FairContract, KeyLimitContract  # noqa: E402
from aiojobs_engine.testing.conformance.kin import KinContract  # noqa: E402
from aiojobs_engine.testing.conformance.limit import LimitContract  # noqa: E402
from aiojobs_engine.testing.conformance.place import PlaceContract  # noqa: E402
from aiojobs_engine.testing.conformance.promote import PromoteContract  # noqa: E402
from aiojobs_engine.testing.conformance.prune import PruneContract  # noqa: E402
from aiojobs_engine.testing.conformance.race import RaceContract  # noqa: E402
from aiojobs_engine.testing.conformance.record import RecordContract  # noqa: E402
from aiojobs_engine.testing.conformance.rescue import RescueContract  # noqa: E402
from aiojobs_engine.testing.conformance.revival import RevivalContract  # noqa: E402
from aiojobs_engine.testing.conformance.room import RoomContract  # noqa: E402
from aiojobs_engine.testing.conformance.settle import SettleContract  # noqa: E402
from aiojobs_engine.testing.conformance.unique import ReplaceContract, UniqueContract  # noqa: E402
from aiojobs_engine.testing.conformance.waiting import WaitContract  # noqa: E402

__all__ = [
    "BackendContract",
    "BatchContract",
    "ChunkContract",
    "ClaimContract",
    "ControlContract",
    "CronContract",
    "CronOrderContract",
    "EnqueueContract",
    "EventContract",
    "ExecutionContract",
    "FairContract",
    "FenceContract",
    "FlowContract",
    "GatherContract",
    "InspectorContract",
    "KeyLimitContract",
    "KinContract",
    "LimitContract",
    "PlaceContract",
    "PromoteContract",
    "PruneContract",
    "RaceContract",
    "RecordContract",
    "ReplaceContract",
    "RescueContract",
    "RevivalContract",
    "RoomContract",
    "SettleContract",
    "UniqueContract",
    "WaitContract",
]


class BackendContract(
    EnqueueContract,
    UniqueContract,
    ReplaceContract,
    ClaimContract,
    LimitContract,
    RevivalContract,
    RoomContract,
    KeyLimitContract,
    FairContract,
    WaitContract,
    FenceContract,
    SettleContract,
    RecordContract,
    PromoteContract,
    RescueContract,
    ControlContract,
    CronContract,
    CronOrderContract,
    PruneContract,
    ChunkContract,
    GatherContract,
    KinContract,
    FlowContract,
    BatchContract,
    InspectorContract,
    EventContract,
    ExecutionContract,
    PlaceContract,
    RaceContract,
):
    """All themes at once."""
