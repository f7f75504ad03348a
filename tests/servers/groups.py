"""Servers in company: a Cluster, and a primary with a replica under two Sentinels."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

import redis

from tests.servers.server import Server, free_port, until

SLOTS = 16384
SERVICE = "jobs"


class Cluster:
    """Primaries that share the slots evenly."""

    def __init__(self, binary: Path, folder: Path, *options: str, primaries: int = 3) -> None:
        self.nodes = [
            Server(
                binary,
                folder / str(number),
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                str(free_port()),
                "--cluster-node-timeout",
                "2000",
                *options,
            )
            for number in range(primaries)
        ]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        share = -(-SLOTS // len(self.nodes))
        with ExitStack() as stack:
            for number, node in enumerate(self.nodes):
                stack.enter_context(node)
                last = min((number + 1) * share, SLOTS) - 1
                node.run("CLUSTER", "ADDSLOTSRANGE", number * share, last)
                node.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            first = self.nodes[0]
            for node in self.nodes[1:]:
                first.run("CLUSTER", "MEET", "127.0.0.1", node.port, self._bus(node))
            until(lambda: all(self._is_whole(node) for node in self.nodes), "a whole Cluster")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def owner(self, slot: int) -> Server:
        """The server that has a slot."""
        ranges = self.nodes[0].run("CLUSTER", "SLOTS")
        ports = {each[2][1] for each in ranges if each[0] <= slot <= each[1]}
        return next(node for node in self.nodes if node.port in ports)

    def name(self, node: Server) -> str:
        return str(node.run("CLUSTER", "MYID").decode())

    def move(self, slot: int) -> None:
        """Move a slot, with its keys, to the next server; clients see it half way."""
        source = self.owner(slot)
        target = self.nodes[(self.nodes.index(source) + 1) % len(self.nodes)]
        target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", self.name(source))
        source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", self.name(target))
        while keys := source.run("CLUSTER", "GETKEYSINSLOT", slot, 5):
            source.run("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source, *self.nodes):
            node.run("CLUSTER", "SETSLOT", slot, "NODE", self.name(target))

    def _bus(self, node: Server) -> str:
        return node.options[node.options.index("--cluster-port") + 1]

    def _is_whole(self, node: Server) -> bool:
        said = node.run("CLUSTER", "INFO")
        text = said if isinstance(said, str) else said.decode()
        return "cluster_state:ok" in text and f"cluster_known_nodes:{len(self.nodes)}" in text


class Watched:
    """A primary, its replica, and two Sentinels that watch them."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.first = Server(binary, folder / "first")
        self.second = Server(binary, folder / "second")
        self.sentinels = [Server(binary, folder / f"sentinel{n}", mode="sentinel") for n in range(2)]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.first)
            stack.enter_context(self.second)
            self.second.run("REPLICAOF", "127.0.0.1", self.first.port)
            until(lambda: self._is_in_step(self.second), "a replica in step")
            for sentinel in self.sentinels:
                self._configure(sentinel)
                stack.enter_context(sentinel)
            until(lambda: all(self._knows_all(each) for each in self.sentinels), "Sentinels in touch")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    @property
    def primary(self) -> Server:
        """The one that the first Sentinel names."""
        _, port = self.sentinels[0].run("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return self.first if int(port) == self.first.port else self.second

    def fail_over(self) -> None:
        """Let the Sentinels make the replica the primary, and return when the old one knows too."""
        before = self.primary
        self.sentinels[0].run("SENTINEL", "FAILOVER", SERVICE)
        until(lambda: self.primary is not before, "another primary")
        until(lambda: _is_replica(before), "the old primary a replica")

    def _configure(self, sentinel: Server) -> None:
        sentinel.folder.mkdir(parents=True)
        lines = [
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.first.port} 1",
            f"sentinel down-after-milliseconds {SERVICE} 1000",
            f"sentinel failover-timeout {SERVICE} 5000",
        ]
        (sentinel.folder / "sentinel.conf").write_text("\n".join(lines) + "\n", encoding="ascii")

    def _knows_all(self, sentinel: Server) -> bool:
        replicas = sentinel.run("SENTINEL", "REPLICAS", SERVICE)
        others = sentinel.run("SENTINEL", "SENTINELS", SERVICE)
        return len(replicas) == 1 and len(others) == 1

    def _is_in_step(self, server: Server) -> bool:
        return bool(server.run("INFO", "replication")["master_link_status"] == "up")


def _is_replica(server: Server) -> bool:
    """Whether it says so; a server that changes its role cuts connections."""
    try:
        return server.run("ROLE")[0] in (b"slave", "slave")
    except redis.ConnectionError:
        return False
