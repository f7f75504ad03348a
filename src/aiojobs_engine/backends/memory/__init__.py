"""The store in plain dictionaries and heaps: for tests and scripts, and the model for every other store."""

from aiojobs_engine.backends.memory.backend import MemoryBackend

__all__ = ["MemoryBackend"]
