"""The Redis store of one server: a single home, and the client that leads to it."""

from aiojobs_engine.backends.redis.address import Address
from aiojobs_engine.backends.redis.bell import Bell
from aiojobs_engine.backends.redis.client import Client
from aiojobs_engine.backends.redis.home import Home, Times
from aiojobs_engine.backends.redis.opening import close, open_checked
from aiojobs_engine.backends.redis.servers import examine_servers
from aiojobs_engine.backends.redis.store import HomeStore
from aiojobs_engine.ports.checkup import Finding
from aiojobs_engine.ports.clock import Clock


class RedisBackend(HomeStore):
    """A store on a server of Redis or Valkey, for any number of machines.

    Attributes:
        client: its connections, and how much was sent over them.
    """

    def __init__(self, address: Address, *, clock: Clock, stamps: Clock | None = None) -> None:
        """Touch nothing before `open`.

        Args:
            stamps: where instants come from instead of the server's clock; only tests set it.
        """
        self.client = Client(address, clock=clock)
        self._wall = clock
        waits = stamps or clock
        bell = Bell(self.client, waits)
        home = Home(self.client, bell, times=Times(stamps), max_events=address.max_events)
        super().__init__(home, clock=waits)

    async def open(self) -> None:
        """Connect and check; see the port."""
        await open_checked(self._home)

    async def close(self) -> None:
        """Finish what is under way and let go; see the port."""
        await close(self._home)

    async def examine(self) -> list[Finding]:
        """What is wrong with the servers, and with the keys; see `ports/checkup.py`."""
        return [*await examine_servers(self.client, self._wall), *await super().examine()]
