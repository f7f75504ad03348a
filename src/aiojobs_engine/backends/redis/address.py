"""URLs of Redis: which servers, which kind of them, and with what options."""

import re
from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import parse_qsl, unquote

import msgspec

from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.masking import redacted

Kind = Literal["server", "sentinel", "cluster"]

MOST_HOMES = 256

_PORTS: dict[Kind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
_PREFIX = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
_NODE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<host>[^:\[\]\s]*))(?::(?P<port>\d{1,5}))?")
_LONGEST_SECONDS = 3600
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1", re.IGNORECASE)


class Node(msgspec.Struct, frozen=True):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Is it this machine's own loopback?"""
        return _LOOPBACK.fullmatch(self.host) is not None


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A URL, read. Times are seconds.

    Attributes:
        nodes: the server, the Sentinels, or some servers of the Cluster; empty for a Unix socket.
        path: of the Unix socket.
        service: the name that the Sentinels know the primary by.
        prefix: begins every key, outside of the hash tag.
        timeout: within which a reply must have come; after it the connection counts as dead.
        connect_timeout: within which a connection must be open and authenticated.
        retry_for: how long a call that can't be answered is repeated before `BackendUnavailable`.
        max_events: how many of the newest events a home keeps at least.
        homes: in how many hash slots the store lies.
        any_eviction: open also where the server may evict keys, and so lose jobs.
        shown: the URL without its secrets.
    """

    kind: Kind
    shown: str
    nodes: tuple[Node, ...] = ()
    path: str | None = None
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = None
    is_tls: bool = False
    prefix: str = "aiojobs"
    timeout: float = 5.0
    connect_timeout: float = 5.0
    retry_for: float = 5.0
    any_eviction: bool = False
    max_events: int = 100_000
    homes: int = 1
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_verify: bool = True
    sentinel_username: str | None = None
    sentinel_password: str | None = None

    @property
    def is_local(self) -> bool:
        """Does nothing leave this machine?"""
        return self.path is not None or all(node.is_local for node in self.nodes)


def read_address(url: str) -> Address:
    """What `url` says.

    Raises:
        ConfigError: it is malformed, or has an unknown option or one that does not fit; shows no password.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    rest, _, query = rest.partition("?")
    shown = redacted(url)
    user, password, place = _credentials(rest)
    fields: dict[str, object] = {"shown": shown, "username": user, "password": password}
    if scheme == "unix":
        fields |= {"kind": "server", "path": _socket(place, shown)}
    else:
        hosts, _, path = place.partition("/")
        kind = _kind(scheme)
        fields |= {"kind": kind, "is_tls": scheme == "rediss", "nodes": _nodes(hosts, kind, shown)}
        fields |= _of_path(path, kind, shown)
    given = _options(query, shown)
    _check_fitting(scheme, fields, given, shown)
    fields |= given
    return Address(**fields)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def _kind(scheme: str) -> Kind:
    match scheme:
        case "redis+sentinel":
            return "sentinel"
        case "redis+cluster":
            return "cluster"
        case _:
            return "server"


def _credentials(rest: str) -> tuple[str | None, str | None, str]:
    """User, password and what follows the last `@`."""
    before, at, place = rest.rpartition("@")
    if not at:
        return None, None, rest
    user, colon, password = before.partition(":")
    return unquote(user) or None, unquote(password) if colon else None, place


def _socket(place: str, shown: str) -> str:
    if not place.startswith("/") or len(place) == 1:
        raise ConfigError(f"{shown!r}: the URL is written unix:///run/redis.sock, with ?db=1 for a database")
    return unquote(place)


def _nodes(hosts: str, kind: Kind, shown: str) -> tuple[Node, ...]:
    names = hosts.split(",") if hosts else []
    if kind == "server" and len(names) > 1:
        raise ConfigError(f"{shown!r}: one server is named here; use redis+sentinel:// or redis+cluster://")
    if not names and kind != "server":
        raise ConfigError(f"{shown!r}: name at least one host, as in redis+{kind}://host:{_PORTS[kind]}")
    return tuple(_node(name, kind, shown) for name in names or ["localhost"])


def _node(name: str, kind: Kind, shown: str) -> Node:
    found = _NODE.fullmatch(name)
    if found is None:
        raise ConfigError(f"{shown!r}: {name!r} is no host:port; an IPv6 address stands in brackets")
    port = int(found["port"] or _PORTS[kind])
    if not 0 < port < 1 << 16:
        raise ConfigError(f"{shown!r}: port {port} does not exist; ports go from 1 to 65535")
    return Node(unquote(found["six"] or found["host"] or "localhost"), port)


def _of_path(path: str, kind: Kind, shown: str) -> dict[str, object]:
    parts = [unquote(part) for part in path.split("/")] if path else []
    if kind == "sentinel":
        service, *after = parts or [""]
        if not service or len(after) > 1:
            raise ConfigError(
                f"{shown!r}: name the service that the Sentinels watch: redis+sentinel://host:26379/mymaster/0"
            )
        return {"service": service, "db": _db(after[0], shown) if after and after[0] else 0}
    if kind == "cluster":
        if parts not in ([], [""], ["0"]):
            raise ConfigError(f"{shown!r}: a Cluster has database 0 only; use ?prefix= to part users")
        return {}
    if len(parts) > 1:
        raise ConfigError(f"{shown!r}: after the host comes at most a database: redis://localhost:6379/0")
    return {"db": _db(parts[0], shown) if parts and parts[0] else 0}


def _db(text: str, shown: str) -> int:
    return _whole(text, "the database", shown)


def _whole(text: str, name: str, shown: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigError(f"{shown!r}: {name} is a whole number from 0, got {text!r:.40}")
    return int(text)


def _homes(text: str, name: str, shown: str) -> int:
    homes = _whole(text, name, shown)
    if not 1 <= homes <= MOST_HOMES:
        raise ConfigError(f"{shown!r}: {name} is 1 to {MOST_HOMES}, got {homes}")
    return homes


def _seconds(text: str, name: str, shown: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ConfigError(f"{shown!r}: {name} is seconds, more than 0 and at most an hour, got {text!r:.40}")
    return seconds


def _switch(text: str, name: str, shown: str) -> bool:
    switches = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in switches:
        raise ConfigError(f"{shown!r}: {name} is true or false, got {text!r:.40}")
    return switches[text.lower()]


def _prefix(text: str, name: str, shown: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ConfigError(
            f"{shown!r}: {name} is 1 to 64 letters, digits and _ . : -, without braces, got {text!r:.80}"
        )
    return text


def _text(text: str, name: str, shown: str) -> str:
    if not text:
        raise ConfigError(f"{shown!r}: {name} is empty")
    return text


_READERS: Mapping[str, tuple[str, Callable[[str, str, str], object]]] = {
    "prefix": ("prefix", _prefix),
    "db": ("db", _whole),
    "timeout": ("timeout", _seconds),
    "connect_timeout": ("connect_timeout", _seconds),
    "retry_for": ("retry_for", _seconds),
    "any_eviction": ("any_eviction", _switch),
    "max_events": ("max_events", _whole),
    "homes": ("homes", _homes),
    "tls": ("is_tls", _switch),
    "tls_ca": ("tls_ca", _text),
    "tls_cert": ("tls_cert", _text),
    "tls_key": ("tls_key", _text),
    "tls_verify": ("tls_verify", _switch),
    "sentinel_username": ("sentinel_username", _text),
    "sentinel_password": ("sentinel_password", _text),
}


def _check_fitting(
    scheme: str, fields: Mapping[str, object], given: Mapping[str, object], shown: str
) -> None:
    """Refuse options that this kind of URL has no use for, or that say something else than it."""
    of_tls = [name for name in given if name == "is_tls" or name.startswith("tls_")]
    of_sentinel = [name for name in given if name.startswith("sentinel_")]
    is_tls = scheme == "rediss" or given.get("is_tls") is True
    if "db" in given and fields["kind"] == "cluster":
        raise ConfigError(f"{shown!r}: a Cluster has database 0 only; use prefix to part users")
    if "db" in given and fields.get("db"):
        raise ConfigError(f"{shown!r} has a database in its path and one as an option; leave one of them out")
    if of_sentinel and fields["kind"] != "sentinel":
        raise ConfigError(f"{shown!r}: the option {of_sentinel[0]} is for redis+sentinel:// alone")
    if of_tls and scheme == "unix":
        raise ConfigError(f"{shown!r}: nothing is encrypted on a Unix socket; leave the options of TLS out")
    if scheme == "rediss" and given.get("is_tls") is False:
        raise ConfigError(f"{shown!r}: rediss:// is TLS; use redis:// without")
    if of_tls and not is_tls and of_tls != ["is_tls"]:
        where = "rediss://" if fields["kind"] == "server" else "tls=true"
        raise ConfigError(f"{shown!r}: the option {of_tls[0]} is for TLS; use {where} with it")


def _options(query: str, shown: str) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _READERS:
            hint = did_you_mean(name, _READERS) or f"; there are {', '.join(_READERS)}"
            raise ConfigError(f"{shown!r} has the unknown option {name!r:.80}{hint}")
        field, reader = _READERS[name]
        if field in fields:
            raise ConfigError(f"{shown!r} has the option {name} twice")
        fields[field] = reader(text, f"the option {name}", shown)
    return fields
