"""Opening and closing: when an engine has a session, and with which store, clock and storage."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import cast
from weakref import WeakKeyDictionary

from aiojobs_engine.backends import open_backend
from aiojobs_engine.bulk.storages import ConfiguredStorages, one_storage
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.events.bus import EventBus, Subscription
from aiojobs_engine.events.listeners.log import log_subscription
from aiojobs_engine.lifetime.drivers import lacking, made_storage
from aiojobs_engine.lifetime.hosting import finish
from aiojobs_engine.lifetime.session import Door, Session
from aiojobs_engine.ports.backend import Store
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.metrics import MetricsCollector
from aiojobs_engine.ports.storage import Storage, Storages
from aiojobs_engine.runtime.offload import check_main
from aiojobs_engine.runtime.registry import JobRegistry
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.runtime.watchdog import Rescue


class Lifecycle:
    """Opens at the first entering, closes at the last leaving, each from any task of the loop.

    Attributes:
        door: where calls enter.
        clock: the engine's time.
        listeners, durable: what `engine.on` collected.
        is_substituted: the parts are a test's.
        metrics: where figures go from the next opening on, None for where the program says.
    """

    def __init__(
        self, store: Store | None, *, clock: Clock, settings: Settings, registry: JobRegistry
    ) -> None:
        """Use `store`, or the one that the settings name, from the first entering on."""
        self.door = Door()
        self.clock = clock
        self.listeners: list[Subscription] = []
        self.durable: list[Subscription] = []
        self.is_substituted = False
        self.metrics: MetricsCollector | None = None
        self._store: Store | None = store
        self._storage: Storages | None = None
        self._settings = settings
        self._registry = registry
        self._depth = 0
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @property
    def storage(self) -> Storages:
        """Where the rows of bulk jobs and the files of exports lie."""
        if self._storage is None:
            self._storage = ConfiguredStorages(self._settings, self._registry.types, made_storage)
        return self._storage

    def rescue(self, leave: Callable[[], None] | None, *, has_own_backend: bool) -> Rescue | None:
        """What a worker may do while a job blocks its loop; None on a clock that a test moves."""
        if not isinstance(self.clock, SystemClock):
            return None
        url = self._settings.url
        if has_own_backend or self.is_substituted or url.startswith("memory:"):
            return Rescue(leave=leave)
        again = partial(open_backend, url, clock=self.clock, settings=self._settings)
        return Rescue(open_store=again, leave=leave)

    def listen(self, subscription: Subscription) -> None:
        """Add a listener, from the next event on when the engine is open; durable ones with the next worker.

        Raises:
            ConfigError: another durable listener has its name.
        """
        if subscription.durable is not None:
            if any(each.durable == subscription.durable for each in self.durable):
                raise ConfigError(f"there is a durable listener {subscription.durable!r} already")
            self.durable.append(subscription)
            return
        self.listeners.append(subscription)
        session = self.door.session
        if session is not None:
            session.bus.add(subscription)
            _tap(session.store, session.bus)

    async def enter(self) -> None:
        """Open, or count one more user of what is open.

        Raises:
            ConfigError: a process for a job loads the program anew, and that starts over instead of waiting.
        """
        check_main()
        async with self._gate():
            if self._depth and self.door.session is not None and self.door.session.loop.is_closed():
                self._abandon()
            if self._depth == 0:
                await self._open()
            else:
                self.door()
            self._depth += 1

    async def leave(self) -> None:
        """Count one user less, and close after the last; it closes also when the caller is cancelled."""
        await finish(start(self._leave(), "aiojobs:close"))

    @contextmanager
    def substituted(self, *, store: Store, clock: Clock, storage: Storage) -> Generator[None]:
        """Work on other parts for a while, as a closed engine; what was open is back afterwards."""
        kept = (self.door.session, self._depth, self._store, self._storage, self.clock)
        self.door.session, self._depth = None, 0
        self._store, self._storage, self.clock = store, one_storage(storage), clock
        was_substituted, self.is_substituted = self.is_substituted, True
        try:
            yield
        finally:
            self.is_substituted = was_substituted
            self.door.session, self._depth, self._store, self._storage, self.clock = kept

    def _gate(self) -> asyncio.Lock:
        return self._gates.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    def _abandon(self) -> None:
        """Forget a session whose loop ended without closing it."""
        self.door.session, self._depth = None, 0

    async def _open(self) -> None:
        storage = self.storage  # a wrong driver is told before the store is open
        if self._store is None:
            self._store = open_backend(self._settings.url, clock=self.clock, settings=self._settings)
        store = self._store
        await store.open()
        bus = EventBus(self.clock, start)
        log = log_subscription(self._settings)
        for subscription in [*self.listeners, *([log] if log else [])]:
            bus.add(subscription)
        if bus.is_heard:
            _tap(store, bus)
        self.door.session = Session(
            store,
            storage=storage,
            clock=self.clock,
            settings=self._settings,
            registry=self._registry,
            bus=bus,
            metrics=self.metrics,
        )

    async def _leave(self) -> None:
        async with self._gate():
            session = self.door.session
            if self._depth > 1 or session is None:
                self._depth = max(0, self._depth - 1)
                return
            try:
                await session.finish()
            finally:
                self.door.session, self._depth = None, 0
                await session.close()


def _tap(store: Store, bus: EventBus) -> None:
    store.tap(bus.publish, bus.pick, bus.classes)


def checked_store(backend: object) -> Store:
    """`backend` itself, when it has what a store needs.

    Raises:
        ConfigError: it lacks methods of the port.
    """
    missing = lacking(backend, Store)
    if isinstance(backend, str):
        raise ConfigError("backend= takes a store object; give a URL as the first argument")
    if missing or isinstance(backend, type):
        raise ConfigError(f"{backend!r:.80} is no backend; it lacks {', '.join(missing) or 'an instance'}")
    return cast("Store", backend)
