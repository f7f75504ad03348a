"""The store in one SQLite file: the embedded default, for several processes of one machine."""

from aiojobs_engine.backends.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
