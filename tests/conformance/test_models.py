import itertools
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

from aiojobs_engine.backends.redis import RedisBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.flow_model import FlowModel
from aiojobs_engine.testing.model import BackendModel
from tests.servers.server import Server

pytestmark = pytest.mark.timeout(600)

NUMBERS = itertools.count()
EXAMPLES = 300 if os.environ.get("AIOJOBS_CI") == "1" else 60
PROFILE = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


class OnSqlite(BackendModel):
    """A crash leaves the files as they are: the store is opened on a copy of them."""

    can_crash = True

    async def make(self, clock: ManualClock) -> Store:
        self.folder = TemporaryDirectory()
        self.crashes = 0
        return await self._opened()

    async def crash(self, store: Store) -> Store:
        before = self._place()
        self.crashes += 1
        for file in before.parent.iterdir():
            shutil.copy(file, self._place().parent / file.name)
        await store.close()
        return await self._opened()

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()

    async def _opened(self) -> SqliteBackend:
        store = SqliteBackend(self._place(), clock=self.clock, durability="normal")
        await store.open()
        return store

    def _place(self) -> Path:
        folder = Path(self.folder.name) / str(self.crashes)
        folder.mkdir(exist_ok=True)
        return folder / "jobs.db"


class SqliteModel(OnSqlite): ...


class SqliteFlowModel(OnSqlite, FlowModel): ...


class OnRedis(BackendModel):
    """A crash leaves the server as it is: another client goes on with its keys."""

    can_crash = True
    url = ""

    async def make(self, clock: ManualClock) -> Store:
        self.prefix = f"model{next(NUMBERS)}"
        return await self._opened()

    async def crash(self, store: Store) -> Store:
        await store.close()
        return await self._opened()

    async def _opened(self) -> RedisBackend:
        address = read_address(f"{self.url}?prefix={self.prefix}")
        store = RedisBackend(address, clock=SystemClock(), stamps=self.clock)
        await store.open()
        return store


class RedisModel(OnRedis): ...


class RedisFlowModel(OnRedis, FlowModel): ...


@pytest.fixture(scope="module", autouse=True)
def server(servers: dict[str, Server]) -> None:
    OnRedis.url = servers["valkey"].url


TestMemoryModel = BackendModel.TestCase
TestMemoryModel.settings = PROFILE
TestSqliteModel = SqliteModel.TestCase
TestSqliteModel.settings = PROFILE
TestSqliteFlowModel = SqliteFlowModel.TestCase
TestSqliteFlowModel.settings = PROFILE
TestRedisModel = RedisModel.TestCase
TestRedisModel.settings = PROFILE
TestRedisFlowModel = RedisFlowModel.TestCase
TestRedisFlowModel.settings = PROFILE
