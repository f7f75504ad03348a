"""Which connection the commands of a key take."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from aiojobs_engine.backends.redis.address import Address, Node
from aiojobs_engine.backends.redis.connect import Connector
from aiojobs_engine.backends.redis.errors import Cut, Refused
from aiojobs_engine.backends.redis.wire import Wire

Key = bytes | str | None

_ON_THE_MOVE = frozenset({"MOVED", "ASK", "TRYAGAIN"})


class Lines(Protocol):
    """The open connections; what fails in them is a `Cut` or a `Refused`."""

    def ready(self, key: Key) -> Wire | None:
        """The open wire that leads to `key` and has room, if there is one."""
        ...

    async def place(self, key: Key) -> Wire:
        """The wire that leads to `key`, connected first if it must be."""
        ...

    async def at(self, node: Node) -> Wire:
        """The wire to a server that a refusal named."""
        ...

    async def all(self) -> Sequence[Wire]:
        """A wire to each primary."""
        ...

    async def listened_to(self) -> Node | None:
        """A server where all that is published can be heard; None is the Unix socket."""
        ...

    def learn(self, trouble: Cut | Refused, wire: Wire) -> None:
        """Draw the consequence of `trouble` on `wire` for the next `place`."""
        ...

    async def close(self) -> None:
        """Let what was sent be answered, then let go."""
        ...


class Line:
    """The connection to one server; callers who need it while it is opened wait for the same attempt."""

    def __init__(self, connector: Connector) -> None:
        """Touch nothing."""
        self._connector = connector
        self._lock = asyncio.Lock()
        self._failures = 0
        self._failure: Cut | Refused | None = None
        self.wire: Wire | None = None

    async def reach(self, node: Node | None = None, *, is_primary_of_sentinels: bool = False) -> Wire:
        """The open wire to `node`; to the primary that the Sentinels name when told so."""
        if self.wire is not None and self.wire.is_open:
            await self.wire.wait_room()
            return self.wire
        failures = self._failures
        async with self._lock:
            if self.wire is not None and self.wire.is_open:
                return self.wire
            if self._failures != failures and self._failure is not None:
                raise type(self._failure)(str(self._failure))
            try:
                self.wire = await self._open(node, is_primary_of_sentinels)
            except (Cut, Refused) as trouble:
                self._failures += 1
                self._failure = trouble
                raise
            return self.wire

    async def close(self) -> None:
        """Let what was sent be answered, then let go."""
        wire, self.wire = self.wire, None
        if wire is not None:
            if wire.is_open:
                await wire.send([("PING",)])
            wire.close()
            await wire.wait_closed()

    async def _open(self, node: Node | None, is_primary_of_sentinels: bool) -> Wire:  # noqa: FBT001
        if not is_primary_of_sentinels:
            return await self._connector.wire(node)
        wire = await self._connector.wire(await self._connector.primary())
        replies = await wire.send([("ROLE",)])
        if isinstance(replies, Cut):
            raise replies
        if isinstance(replies[0], Refused) or replies[0][0] != b"master":
            wire.close()
            raise Cut(f"{wire.name} is no longer the primary that the Sentinels named")
        return wire


class OneServer:
    """All keys are on the primary."""

    def __init__(self, address: Address, connector: Connector) -> None:
        """Touch nothing."""
        self._connector = connector
        self._is_by_sentinels = address.kind == "sentinel"
        self._node = address.nodes[0] if address.nodes else None
        self._line = Line(connector)

    def ready(self, key: Key) -> Wire | None:  # noqa: ARG002 - any key
        """The open wire, if there is one with room."""
        wire = self._line.wire
        return wire if wire is not None and wire.is_ready else None

    async def place(self, key: Key) -> Wire:  # noqa: ARG002 - any key
        """The open wire."""
        return await self._line.reach(self._node, is_primary_of_sentinels=self._is_by_sentinels)

    async def at(self, node: Node) -> Wire:
        """Nobody is sent elsewhere here."""
        raise Refused(f"MOVED 0 {node}: this server belongs to a Cluster; use redis+cluster://")

    async def all(self) -> Sequence[Wire]:
        """The open wire."""
        return [await self.place(None)]

    async def listened_to(self) -> Node | None:
        """The primary."""
        return await self._connector.primary()

    def learn(self, trouble: Cut | Refused, wire: Wire) -> None:
        """Connect anew, for another server may be the primary."""
        wire.close(str(trouble))

    async def close(self) -> None:
        """Let what was sent be answered, then let go."""
        await self._line.close()


class ManyServers:
    """Keys are on the server that has their slot."""

    def __init__(self, address: Address, connector: Connector) -> None:
        """Touch nothing."""
        self._seeds = address.nodes
        self._connector = connector
        self._lines: dict[Node, Line] = {}
        self._slots: list[Node | None] = []
        self._is_stale = True
        self._lock = asyncio.Lock()

    def ready(self, key: Key) -> Wire | None:
        """The open wire to the slot's server, if there is one with room."""
        if self._is_stale or key is None:
            return None
        node = self._slots[_slot(key)]
        line = None if node is None else self._lines.get(node)
        wire = None if line is None else line.wire
        return wire if wire is not None and wire.is_ready else None

    async def place(self, key: Key) -> Wire:
        """The wire to the slot's server."""
        await self._refresh()
        slot = 0 if key is None else _slot(key)
        node = self._slots[slot]
        if node is None:
            self._is_stale = True
            raise Refused(f"CLUSTERDOWN no server has slot {slot}")
        return await self._reach(node)

    async def at(self, node: Node) -> Wire:
        """The wire to a server that a refusal named."""
        return await self._reach(node)

    async def all(self) -> Sequence[Wire]:
        """A wire to each primary."""
        await self._refresh()
        nodes = dict.fromkeys(node for node in self._slots if node is not None)
        return [await self._reach(node) for node in nodes]

    async def listened_to(self) -> Node | None:
        """Any primary: the servers of a Cluster pass on what is published."""
        await self._refresh()
        return next((node for node in self._slots if node is not None), None)

    def learn(self, trouble: Cut | Refused, wire: Wire) -> None:
        """Ask anew who has which slot."""
        self._is_stale = True
        if not isinstance(trouble, Refused) or trouble.code not in _ON_THE_MOVE:
            wire.close(str(trouble))

    async def close(self) -> None:
        """Let what was sent be answered, then let go."""
        for line in self._lines.values():
            await line.close()
        self._lines.clear()
        self._is_stale = True

    async def _reach(self, node: Node) -> Wire:
        line = self._lines.get(node)
        if line is None:
            line = self._lines[node] = Line(self._connector)
        try:
            return await line.reach(node)
        except (Cut, Refused):
            self._is_stale = True
            raise

    async def _refresh(self) -> None:
        if not self._is_stale:
            return
        async with self._lock:
            if self._is_stale:
                self._slots = await self._ask_around()
                self._is_stale = False
                await self._let_go()

    async def _ask_around(self) -> list[Node | None]:
        trouble: Cut | Refused = Cut("no server of the Cluster is known")
        for node in dict.fromkeys((*self._lines, *self._seeds)):
            line = self._lines.setdefault(node, Line(self._connector))
            try:
                wire = await line.reach(node)
            except (Cut, Refused) as error:
                trouble = error
                continue
            replies = await wire.send([("CLUSTER", "SLOTS")])
            answer = replies if isinstance(replies, Cut) else replies[0]
            if isinstance(answer, Cut | Refused):
                trouble = answer
                continue
            return _slot_map(answer, node)
        raise trouble

    async def _let_go(self) -> None:
        """Close the wires to servers that have no slots any more."""
        kept = set(self._slots)
        for node in [node for node in self._lines if node not in kept]:
            await self._lines.pop(node).close()


def _slot(key: bytes | str) -> int:
    return key_slot(key.encode() if isinstance(key, str) else key)


def _slot_map(ranges: list[Any], asked: Node) -> list[Node | None]:
    """Who has which slot; a server that doesn't know its own name is called as it was asked."""
    slots: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
    for first, last, primary, *_ in ranges:
        host = primary[0].decode() if primary[0] and primary[0] != b"?" else asked.host
        slots[first : last + 1] = [Node(host, primary[1])] * (last + 1 - first)
    return slots
