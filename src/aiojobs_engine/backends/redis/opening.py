"""How a store is opened and closed: its servers are checked, and in how many homes it lies."""

from aiojobs_engine.backends.redis.checks import check_servers
from aiojobs_engine.backends.redis.home import Home
from aiojobs_engine.core.errors import ConfigError


async def open_checked(first: Home) -> None:
    """Connect to the servers of the first home, and see that the store is the one that the URL describes.

    Raises:
        ConfigError: a server can't be trusted with jobs, or the store lies in another number of homes.
    """
    client = first.client
    if client.is_open:
        return
    await client.open()
    try:
        await check_servers(client)
        await _check_homes(first)
    except BaseException:
        await client.close()
        raise


async def close(first: Home) -> None:
    """Finish what is under way and let go; may be repeated."""
    await first.client.close()
    first.bell.ring()
    await first.bell.close()


async def _check_homes(first: Home) -> None:
    address = first.client.address
    stored = await first.client.command("HGET", first.key, "homes") or await first.run("homes", address.homes)
    homes = int(stored)
    if homes != address.homes:
        raise ConfigError(
            f"the store {address.prefix!r} has homes={homes}, but {address.shown} says {address.homes}: "
            f"say homes={homes}, or take another prefix for a new store"
        )
