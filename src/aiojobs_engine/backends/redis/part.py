"""What the sides of the store share."""

from aiojobs_engine.backends.redis.home import Home


class Part:
    """One side of the store in one home."""

    _home: Home
