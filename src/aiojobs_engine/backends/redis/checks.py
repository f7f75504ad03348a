"""What is looked at when a store is opened: may the server be trusted with jobs?"""

import logging
import re
from collections.abc import Iterator, Mapping

from aiojobs_engine.backends.redis.address import Address
from aiojobs_engine.backends.redis.client import Client
from aiojobs_engine.backends.redis.errors import Refused
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.ports.checkup import Finding

_log = logging.getLogger(__name__)

OLDEST = (7, 0)

# The first release of each line in which no hole in scripts is known that lets their author run other code.
_MENDED_REDIS = ((7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2))
_MENDED_VALKEY = ((7, 2, 11), (8, 0, 6), (8, 1, 4), (9, 0, 0))

Version = tuple[int, ...]


async def check_servers(client: Client) -> None:
    """Refuse servers that lose jobs, warn of those that others can get into.

    Raises:
        ConfigError: a server evicts keys, is too old, or belongs to a Cluster that the URL does not name.
    """
    address = client.address
    for finding in open_doors(address):
        _log.warning("%s", finding)
    try:
        answers = await client.everywhere("INFO")
    except Refused as refused:
        _log.warning(
            "%s doesn't let this user ask INFO, so its settings could not be checked (%s)",
            address.shown,
            refused.text,
        )
        return
    for server, answer in answers.items():
        check_info(read_info(answer), server, address)


def read_info(answer: bytes) -> dict[str, str]:
    """The lines of INFO."""
    pairs = (line.partition(":") for line in answer.decode(errors="replace").splitlines())
    return {name: value.strip() for name, separator, value in pairs if separator}


def check_info(info: Mapping[str, str], server: str, address: Address) -> None:
    """Judge one server by its INFO; see `check_servers`."""
    version = version_of(info)
    if version < OLDEST:
        raise ConfigError(f"{server} is Redis {_dotted(version)}; 7.0 is the oldest that will do")
    if info.get("cluster_enabled") == "1" and address.kind != "cluster":
        raise ConfigError(f"{server} belongs to a Cluster; use redis+cluster:// in place of {address.shown}")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        if not address.any_eviction:
            raise ConfigError(
                f"{server} has maxmemory-policy {policy}, which throws jobs away when memory runs out; set "
                "it to noeviction, or say any_eviction=true in the URL"
            )
        _log.warning("%s has maxmemory-policy %s: it throws jobs away when memory runs out", server, policy)
    for finding in holes(info, server):
        _log.warning("%s", finding)


def version_of(info: Mapping[str, str]) -> Version:
    """The version of the server, of its own counting."""
    text = info.get("valkey_version") or info.get("redis_version") or "0"
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def has_script_holes(info: Mapping[str, str]) -> bool:
    """Is it older than the first release of its line that has them mended, or of a line that never had?"""
    version = version_of(info)
    mended = _MENDED_VALKEY if "valkey_version" in info else _MENDED_REDIS
    if version > mended[-1]:
        return False
    return not any(version[:2] == release[:2] and version >= release for release in mended)


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def open_doors(address: Address) -> Iterator[Finding]:
    """How others could get in or listen, as far as the URL tells."""
    if address.is_local:
        return
    if address.password is None:
        yield Finding(
            severity="warning",
            what="it has no password, so whoever reaches the server reads and writes jobs",
            where=address.shown,
            advice="set one, or an ACL user",
        )
    if not address.is_tls:
        yield Finding(
            severity="warning",
            what="it is not encrypted, so jobs and the password cross the network in the clear",
            where=address.shown,
            advice=f"use {'rediss://' if address.kind == 'server' else 'tls=true'}",
        )


def holes(info: Mapping[str, str], server: str) -> Iterator[Finding]:
    """Known holes of the server's version."""
    if has_script_holes(info):
        name = "Valkey" if "valkey_version" in info else "Redis"
        yield Finding(
            severity="warning",
            what=f"it is {name} {_dotted(version_of(info))}, in which scripts can break out of their sandbox "
            "(CVE-2025-49844) unless your distribution mended it",
            where=server,
            advice="update it, and let only the engine's user call EVAL",
        )
