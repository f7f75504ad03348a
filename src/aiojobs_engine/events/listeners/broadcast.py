"""The broadcast listener: a hub that hands what happens to front ends, each behind a bounded buffer.

One reader per process follows the stream, so a web process shows what all workers do. It forms each event
once and hands batches to the clients of a channel. A client that doesn't take them is closed, and comes back
with the id of the last event that it saw.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

import msgspec

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import BackendClosed, ConfigError
from aiojobs_engine.core.events import JobEvent, StoredEvent, status_updated
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.limits import is_storable
from aiojobs_engine.events.stream import BATCH, Readable, Tail
from aiojobs_engine.events.switches import Switches
from aiojobs_engine.ports.clock import Clock, Wake

logger = logging.getLogger(__name__)

BUFFER = 5000
"""How many events wait for one client before it is closed."""

REPLAYED = 10_000
"""How many past events a client is given that comes back; one that missed more is told to look anew."""

MOST_CHANNELS = 100
ALL = "all"

_LONGEST_ID = 256
_PAUSE_PER_CLIENT = 0.0001
_SHORTEST_PAUSE = 0.005
_LONGEST_PAUSE = 0.2
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Channel(NamedTuple):
    """What a client follows: `all`, one job, or the jobs of one user.

    Attributes:
        kind: `all`, `job` or `user`.
        id: of the job or user, empty for `all`.
    """

    kind: str
    id: str = ""

    def __str__(self) -> str:
        """The form in which clients name it."""
        return f"{self.kind}:{self.id}" if self.id else self.kind


def channel_of(text: str) -> Channel:
    """The channel that `all`, `job:ID` or `user:ID` names.

    Raises:
        ConfigError: it names none.
    """
    kind, _, found = text.partition(":")
    if text == ALL:
        return Channel(ALL)
    if kind not in ("job", "user") or not 0 < len(found) <= _LONGEST_ID or not is_storable(found):
        raise ConfigError(f"a channel is 'all', 'job:ID' or 'user:ID', got {text!r:.80}")
    return Channel(kind, found)


class Frame(NamedTuple):
    """One event in the form that clients get: JSON, and the id to come back with."""

    id: str
    event: str
    data: bytes


RESET = Frame("", "reset", b"{}")
"""Tells a client that it missed something: look at the jobs anew, and go on from there."""


class Driver(Readable, Protocol):
    """Where a hub learns what happens: the store's stream, or anything else that can be read like it."""

    async def tail(self) -> str:
        """The cursor of the newest event."""
        ...


class Client:
    """One front end: what waits for it, and whether it is still there.

    Attributes:
        is_closed: it was too slow, or the hub has ended; what waited is gone.
    """

    def __init__(self, channels: Sequence[Channel], clock: Clock, buffer: int) -> None:
        """Wait for events of `channels`."""
        self.channels = tuple(dict.fromkeys(channels))
        self.is_closed = False
        self._limit = buffer
        self._batches: deque[Sequence[Frame]] = deque()
        self._count = 0
        self._seen: set[str] = set()
        self._wake = Wake(clock)

    def put(self, frames: Sequence[Frame]) -> bool:
        """Let events wait; False when there are too many, and the client is closed."""
        if self._seen:
            frames = self._unseen(frames)
        self._count += len(frames)
        if self._count > self._limit:
            self.close()
            return False
        self._batches.append(frames)
        self._wake.set()
        return True

    def put_replayed(self, frames: Sequence[Frame]) -> None:
        """Let past events wait before those that came meanwhile; none of them is handed out twice."""
        self._seen = {frame.id for frame in frames}
        waiting = self._unseen([frame for batch in self._batches for frame in batch])
        self._batches = deque([frames, waiting])
        self._count = len(waiting)
        self._wake.set()

    def close(self) -> None:
        """Let go of what waits; `next` answers nothing more."""
        self.is_closed = True
        self._batches.clear()
        self._count = 0
        self._wake.set()

    async def next(self, seconds: float) -> Sequence[Frame]:
        """What has come, in order; nothing when nothing came for `seconds`, or the client is closed."""
        if not self._batches and not self.is_closed:
            await self._wake.wait(seconds)
        batches, self._batches = self._batches, deque()
        self._count = 0
        if len(batches) == 1:
            return batches[0]
        return [frame for batch in batches for frame in batch]

    def _unseen(self, frames: Sequence[Frame]) -> list[Frame]:
        """Without those that were replayed; behind the last of these there are no more."""
        found = [frame for frame in frames if frame.id not in self._seen]
        if found:
            self._seen = set()
        return found


class Hub:
    """Clients by channel, and the one reader that serves them while there are any.

    Attributes:
        too_slow: clients that were closed because they did not take what came.
    """

    def __init__(self, driver: Driver, clock: Clock, settings: Settings, *, buffer: int = BUFFER) -> None:
        """Follow `driver`; `settings` say which jobs are shown."""
        self._driver = driver
        self._clock = clock
        self._switches = Switches(settings, "broadcast")
        self._buffer = buffer
        self._clients: defaultdict[Channel, set[Client]] = defaultdict(set)
        self._count = 0
        self._reader: asyncio.Task[None] | None = None
        self.too_slow = 0

    @property
    def clients(self) -> int:
        """How many are connected."""
        return self._count

    @asynccontextmanager
    async def connected(
        self, channels: Sequence[Channel], last_id: str | None = None
    ) -> AsyncGenerator[Client]:
        """A client of `channels`; with the id of the last event it saw it is given what came since then.

        Raises:
            BackendUnavailable, BackendClosed: the stream can't be read.
        """
        client = Client(channels, self._clock, self._buffer)
        await self._join(client)
        try:
            if last_id:
                await self._replay(client, last_id)
            yield client
        finally:
            self._leave(client)

    async def close(self) -> None:
        """Close every client and end the reader."""
        self._close_clients()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def _join(self, client: Client) -> None:
        self._count += 1
        for channel in client.channels:
            self._clients[channel].add(client)
        if self._reader is None or self._reader.done():
            try:
                tail = Tail(self._driver, self._clock, await self._driver.tail())
            except BaseException:
                self._leave(client)
                raise
            if self._reader is None or self._reader.done():
                reading = self._read(tail)
                self._reader = asyncio.get_running_loop().create_task(reading, name="aiojobs:broadcast")

    def _leave(self, client: Client) -> None:
        client.close()
        self._count -= 1
        for channel in client.channels:
            clients = self._clients[channel]
            clients.discard(client)
            if not clients:
                del self._clients[channel]
        if not self._count and self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def _read(self, tail: Tail) -> None:
        try:
            while True:
                self._hand_out(await tail.batch())
                if tail.is_caught_up:
                    await self._pause()
                    await tail.wait()
        except BackendClosed:
            pass
        except Exception:
            logger.exception("the broadcast hub can't go on; its clients are closed and may come back")
        finally:
            if self._reader is asyncio.current_task():  # else the clients there are now have another
                self._close_clients()

    async def _pause(self) -> None:
        """Let events gather where there are many to be woken: waking a thousand takes some milliseconds."""
        seconds = min(self._count * _PAUSE_PER_CLIENT, _LONGEST_PAUSE)
        if seconds >= _SHORTEST_PAUSE:
            await self._clock.sleep(seconds)

    def _close_clients(self) -> None:
        for client in {each for clients in self._clients.values() for each in clients}:
            client.close()

    def _hand_out(self, events: Sequence[StoredEvent]) -> None:
        found: defaultdict[Channel, list[Frame]] = defaultdict(list)
        for event in events:
            wanted = [channel for channel in _channels_of(event) if channel in self._clients]
            if wanted and self._switches.is_on(event.type, event.kind):
                frame = frame_of(event)
                for channel in wanted:
                    found[channel].append(frame)
        told: defaultdict[Client, list[Sequence[Frame]]] = defaultdict(list)
        for channel, frames in found.items():
            for client in self._clients[channel]:
                told[client].append(frames)
        for client, parts in told.items():
            batch = parts[0] if len(parts) == 1 else _merged(parts, events)
            if not client.is_closed and not client.put(batch):
                self.too_slow += 1

    async def _replay(self, client: Client, last_id: str) -> None:
        """Hand out what came since `last_id`; what waits already is not handed out twice."""
        cursor, frames = last_id, list[Frame]()
        try:
            while len(frames) <= REPLAYED:
                events, cursor = await self._driver.read(cursor, BATCH)
                if not events:
                    break
                frames += [frame_of(event) for event in events if self._is_for(client, event)]
        except ConfigError:
            frames = [RESET]
        client.put_replayed([RESET] if len(frames) > REPLAYED else frames)

    def _is_for(self, client: Client, event: JobEvent) -> bool:
        return self._switches.is_on(event.type, event.kind) and any(
            channel in client.channels for channel in _channels_of(event)
        )


def _channels_of(event: JobEvent) -> list[Channel]:
    channels = [Channel(ALL), Channel("job", event.job_id)]
    if event.parent_id is not None:
        channels.append(Channel("job", event.parent_id))
    if event.user_id is not None:
        channels.append(Channel("user", str(event.user_id)))
    return channels


def _merged(parts: Sequence[Sequence[Frame]], events: Sequence[StoredEvent]) -> list[Frame]:
    """The frames of several channels, each once, in the order of the stream."""
    frames = {frame.id: frame for part in parts for frame in part}
    return [frames[event.event_id] for event in events if event.event_id in frames]


def frame_of(event: JobEvent) -> Frame:
    """An event as clients get it: a `JobStatusUpdated` with the words of its cause."""
    updated = status_updated(event)
    data = {name: getattr(updated, name) for name in updated.__struct_fields__}
    for word in ("message", "error", "reason"):
        if text := getattr(event, word, None):
            data[word] = text
    data["at"] = moment(event.at)
    return Frame(event.event_id, "JobStatusUpdated", _encode(data))


def sse_of(frame: Frame) -> bytes:
    """A frame as a server-sent event; JSON has no line breaks, so it is one line of data."""
    head = f"id: {frame.id}\n" if frame.id else ""
    return f"{head}event: {frame.event}\ndata: ".encode() + frame.data + b"\n\n"


def text_of(frame: Frame) -> str:
    """A frame as a WebSocket message."""
    return f'{{"id":"{frame.id}","event":"{frame.event}","data":{frame.data.decode()}}}'
