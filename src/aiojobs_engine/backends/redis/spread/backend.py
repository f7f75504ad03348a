"""The Redis store in several homes, which a Cluster places on its servers."""

from collections.abc import Mapping

from aiojobs_engine.backends.redis.address import Address
from aiojobs_engine.backends.redis.bell import Bell
from aiojobs_engine.backends.redis.client import Client
from aiojobs_engine.backends.redis.home import Home, Times
from aiojobs_engine.backends.redis.opening import close, open_checked
from aiojobs_engine.backends.redis.servers import examine_servers
from aiojobs_engine.backends.redis.spread.control import SpreadControl
from aiojobs_engine.backends.redis.spread.cron import SpreadCron
from aiojobs_engine.backends.redis.spread.executions import SpreadExecutions
from aiojobs_engine.backends.redis.spread.inspector import SpreadInspector
from aiojobs_engine.backends.redis.spread.limits import SpreadLimits
from aiojobs_engine.backends.redis.spread.placement import Placement, home_tags
from aiojobs_engine.backends.redis.spread.stream import SpreadStream
from aiojobs_engine.backends.redis.spread.working import SpreadWork
from aiojobs_engine.ports.checkup import Finding
from aiojobs_engine.ports.clock import Clock


class SpreadBackend(
    SpreadWork, SpreadControl, SpreadCron, SpreadExecutions, SpreadInspector, SpreadLimits, SpreadStream
):
    """A store in `address.homes` homes: what one script touches lies in one; each may have its own server.

    Attributes:
        client: its connections, and how much was sent over them.
    """

    def __init__(
        self,
        address: Address,
        *,
        clock: Clock,
        partitions: Mapping[str, int] | None = None,
        stamps: Clock | None = None,
    ) -> None:
        """Touch nothing before `open`.

        Args:
            partitions: over how many homes the jobs of a queue are spread; 1 where nothing is said.
            stamps: where instants come from instead of the server's clock; only tests set it.

        Raises:
            ConfigError: a queue has more partitions than there are homes.
        """
        client = Client(address, clock=clock)
        waits, times = stamps or clock, Times(stamps)
        bell = Bell(client, waits)
        homes = [
            Home(client, bell, times=times, max_events=address.max_events, tag=tag, number=number)
            for number, tag in enumerate(home_tags(address.prefix, address.homes))
        ]
        super().__init__(homes, Placement(address.homes, partitions or {}), clock=waits)
        self._wall = clock

    async def open(self) -> None:
        """Connect and check; see the port."""
        await open_checked(self._homes[0])

    async def close(self) -> None:
        """Finish what is under way and let go; see the port."""
        await close(self._homes[0])

    async def examine(self) -> list[Finding]:
        """What is wrong with the servers, and with the keys of each home; see `ports/checkup.py`."""
        found = await examine_servers(self.client, self._wall)
        for store in self._stores:
            found += await store.examine()
        return found
