"""Zstandard, of the standard library or of the extra that brings it to older Pythons."""

from importlib import import_module
from typing import Any

from aiojobs_engine.core.errors import ConfigError


def zstandard() -> Any:
    """The module `compression.zstd`, or what stands in for it before Python 3.14.

    Raises:
        ConfigError: the extra is not installed.
    """
    for module in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(module)
        except ImportError:
            continue
    raise ConfigError("a .zst file needs the extra 'zstd': pip install 'aiojobs-engine[zstd]'")
