"""Where a request may go: public addresses by http and https, and what an operator allows beside them.

A name is resolved once, all its addresses are checked, and the connection goes to one of those. So neither an
odd spelling of an address nor a name that answers differently the second time leads inside.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

from aiojobs_engine.core.errors import ConfigError, EngineError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NUMERIC = re.compile(r"(?:^|\.)(?:\d+|0[xX][0-9A-Fa-f]*)\.?$", re.ASCII)
_PORTS = {"http": 80, "https": 443}
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_LONGEST_HOST = 253
_LONGEST_URL = 8192
_LAST_32_BITS = 0xFFFFFFFF


class AddressRefused(EngineError):
    """A URL that may not be requested: its scheme, port or address is not allowed here."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be requested, and the address that was checked for it.

    Attributes:
        host: the name in the URL, for the `Host` header and the certificate.
        path: path and query, encoded.
        address: what to connect to.
    """

    scheme: str
    host: str
    port: int
    path: str
    address: str

    @property
    def netloc(self) -> str:
        """Host and port as a `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL by name."""
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def pinned(self) -> str:
        """The URL by address."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{host}:{self.port}{self.path}"


async def resolve_here(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this machine resolves it.

    Raises:
        ConnectionError: it has none, or nobody could be asked.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectionError(f"{host!r:.260} has no address: {error}") from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be requested.

    Attributes:
        ports: the ports that may be connected to.
        allowed: host names, addresses and networks that may be requested although they are not public.
        resolve: finds the addresses of a name.
    """

    ports: tuple[int, ...] = (80, 443)
    allowed: tuple[str, ...] = ()
    resolve: Resolve = field(default=resolve_here, compare=False)
    _networks: tuple[Network, ...] = field(init=False, repr=False)
    _hosts: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort what is allowed into networks and names.

        Raises:
            ConfigError: an entry is neither, or a port is none.
        """
        networks: list[Network] = []
        hosts: set[str] = set()
        for entry in self.allowed:
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError as error:
                if "/" in entry or not entry or any(char.isspace() for char in entry):
                    raise ConfigError(f"{entry!r:.80} is no host, address or network: {error}") from error
                hosts.add(entry.lower().rstrip("."))
        if not all(0 < port < 2**16 for port in self.ports):
            raise ConfigError(f"ports are between 1 and 65,535, got {self.ports!r:.80}")
        object.__setattr__(self, "_networks", tuple(networks))
        object.__setattr__(self, "_hosts", frozenset(hosts))

    async def target(self, url: str) -> Target:
        """Where a request of `url` goes.

        Raises:
            AddressRefused: it may not be requested.
            ConnectionError: its name has no address.
        """
        parts = self._checked(url)
        host = (parts.hostname or "").rstrip(".")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        addresses = await self.resolve(host, port)
        if not addresses:
            raise AddressRefused(f"{host!r} has no address")
        if host not in self._hosts:
            for address in addresses:
                self._check_address(address, host)
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
        return Target(parts.scheme, host, port, f"{path}?{query}" if query else path, addresses[0])

    def _checked(self, url: str) -> SplitResult:
        if len(url) > _LONGEST_URL or any(ord(char) <= 0x20 or char in "\\\x7f" for char in url):  # noqa: PLR2004 - space and what comes before it
            raise AddressRefused(
                f"{url!r:.80} is no URL: it is too long, or has characters that URLs have not"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
            host = (parts.hostname or "").encode("idna" if not url.isascii() else "ascii").decode()
        except (ValueError, UnicodeError) as error:
            raise AddressRefused(f"{url!r:.80} is no URL: {error}") from error
        if parts.scheme not in _PORTS:
            raise AddressRefused(f"only http and https may be requested, not {parts.scheme!r:.20}")
        if "@" in parts.netloc:
            raise AddressRefused(
                "a URL with a user or a password may not be requested; send a header instead"
            )
        if not host or len(host) > _LONGEST_HOST or "%" in host:
            raise AddressRefused(f"{url!r:.80} names no host")
        if _NUMERIC.search(host) and not _is_address(host):
            raise AddressRefused(f"{host!r} is an address in an odd spelling; write it as four numbers")
        chosen = _PORTS[parts.scheme] if port is None else port
        if chosen not in self.ports:
            listed = ", ".join(map(str, self.ports))
            raise AddressRefused(f"port {chosen} may not be requested, only {listed}")
        return parts._replace(netloc=parts.netloc if url.isascii() else _netloc(host, port))

    def _check_address(self, text: str, host: str) -> None:
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise AddressRefused(f"{host!r} has an address that can't be judged: {error}") from error
        if any(address in network for network in self._networks) or is_public(address):
            return
        raise AddressRefused(
            f"{host!r} is at {address}, which is not public; allow the host or its network to request it"
        )


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could reach the address; IPv4 inside of IPv6 is judged as such."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return all(is_public(each) for each in inner)
        if address.is_site_local or (address in _COMPATIBLE):
            return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    )


def _inner(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...] | None:
    """The IPv4 addresses that an IPv6 one stands for, None when it stands for itself."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if any(address in network for network in _NAT64):
        return (ipaddress.IPv4Address(int(address) & _LAST_32_BITS),)
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _netloc(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"
