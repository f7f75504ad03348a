"""What the sides of the store share."""

from aiojobs_engine.backends.redis.home import Home


class Part:
    """One side of the store in one home."""

    _home: Home

    def key_of(self, name: str) -> str:
        """The key, or channel, that `keys.py` lists under `name`."""
        return f"{self._home.prefix}{name}"
