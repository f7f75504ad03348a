"""Storages by the name of their driver."""

import inspect
from typing import cast

from aiojobs_engine.bulk.storage import LocalStorage
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.ports.storage import Storage
from aiojobs_engine.target import is_target, located

_LOCAL = "local"


def made_storage(driver: str, path: str) -> Storage:
    """What `storage.driver` names, for `storage.path`.

    Raises:
        ConfigError: it leads nowhere, or to nothing that makes a storage.
    """
    if driver == _LOCAL:
        return LocalStorage(path)
    place = f"storage.driver = {driver!r}"
    if not is_target(driver):
        hint = did_you_mean(driver, (_LOCAL,))
        raise ConfigError(f"{place} is neither 'local' nor a module:attribute{hint}")
    try:
        make = located(driver)
    except ConfigError as error:
        raise ConfigError(f"{place} can't be used: {error}") from error
    if not callable(make):
        raise ConfigError(f"{place} is nothing that could be called with the path")
    try:
        made = make(path)
    except Exception as error:
        raise ConfigError(
            f"{place} was called with {path!r} and raised {type(error).__name__}: {error}"
        ) from error
    if missing := lacking(made, Storage):
        raise ConfigError(f"{place} made {made!r:.80}, which is no storage: it lacks {', '.join(missing)}")
    return cast("Storage", made)


def lacking(found: object, port: type) -> list[str]:
    """The methods of a port that an object lacks."""
    names = [name for name, _ in inspect.getmembers(port, callable) if not name.startswith("_")]
    return [name for name in names if not callable(getattr(found, name, None))]
