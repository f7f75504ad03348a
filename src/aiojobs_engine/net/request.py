"""One HTTP request to an address that was checked, within bounds of time and size."""

import importlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.net.addresses import AddressRefused, AddressRules, Target
from aiojobs_engine.net.deadline import within
from aiojobs_engine.ports.clock import Clock

BODY_BYTES = 64 * 1024
DEADLINE = 10.0
REDIRECTS = 3

_KEEPING = (307, 308)
_GETTING = (301, 302, 303)
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "idempotency-key", "user-agent"})
"""Headers that a redirect to another place gets too; any other may be a secret of the first one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        url: the one that answered, after redirects.
        headers: the last value of each, names in lower case.
        body: the first bytes of it, as they came (`identity` was asked for).
        is_cut: there was more.
    """

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool

    @property
    def is_good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - what HTTP calls success


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a request may take.

    Attributes:
        seconds: for all of it, names, redirects and body.
        body_bytes: of the answer; more is not read.
        redirects: how many are followed. Each is checked like the first URL.
        same_host: follow only those that stay with the scheme, host and port.
    """

    seconds: float = DEADLINE
    body_bytes: int = BODY_BYTES
    redirects: int = REDIRECTS
    same_host: bool = False


class Requests:
    """Makes requests; a connection serves one of them, so that none outlives the check of its address."""

    def __init__(self, rules: AddressRules, clock: Clock, *, verify: ssl.SSLContext | None = None) -> None:
        """Go only where `rules` allow it.

        Args:
            verify: what certificates are checked against; without it the authorities of this machine.

        Raises:
            ConfigError: the extra `http` is not installed.
        """
        try:
            self._http: Any = importlib.import_module("httpx2")
        except ImportError as error:
            raise ConfigError("requests need httpx2: pip install 'aiojobs-engine[http]'") from error
        self._rules = rules
        self._clock = clock
        self._verify: Any = verify

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        bounds: Bounds | None = None,
    ) -> Answer:
        """Send a request and read the answer, within bounds. Cancelling it closes the connection.

        301, 302 and 303 are followed for GET and HEAD only, 307 and 308 always. A redirect to another scheme,
        host or port gets none of `headers` but what every request has, such as `accept`.

        Raises:
            AddressRefused: the URL, or one that it redirects to, may not be requested.
            TimeoutError: it took longer than the bounds allow.
            OSError: the server can't be reached, or broke the connection or the protocol.
        """
        limits = bounds or Bounds()
        async with within(self._clock, limits.seconds):
            target, sent = await self._rules.target(url), headers or {}
            for _ in range(limits.redirects + 1):
                answer = await self._once(method, target, sent, body, limits.body_bytes)
                followed = _KEEPING if method not in ("GET", "HEAD") else (*_KEEPING, *_GETTING)
                if answer.status not in followed or "location" not in answer.headers:
                    return answer
                following = await self._next(target, answer.headers["location"], limits)
                if _place(following) != _place(target):
                    sent = {name: value for name, value in sent.items() if name.lower() in _HARMLESS}
                target = following
            raise AddressRefused(f"{url!r:.80} redirects more than {limits.redirects} times")

    async def _next(self, target: Target, location: str, bounds: Bounds) -> Target:
        following = await self._rules.target(urljoin(target.url, location))
        if bounds.same_host and _place(following) != _place(target):
            raise AddressRefused(f"{target.host!r} redirects to another host, {following.host!r:.80}")
        return following

    async def _once(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None, most: int
    ) -> Answer:
        sent = {"accept-encoding": "identity", **headers, "host": target.netloc, "connection": "close"}
        if self._verify is None:
            self._verify = self._http.create_ssl_context()
        try:
            async with (
                self._http.AsyncClient(
                    verify=self._verify, trust_env=False, timeout=None, follow_redirects=False
                ) as client,
                client.stream(
                    method,
                    target.pinned,
                    headers=sent,
                    content=body,
                    extensions={"sni_hostname": target.host},
                ) as response,
            ):
                kept, is_cut = await _read(response, most)
                found = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, target.url, found, kept, is_cut)
        except self._http.HTTPError as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _place(target: Target) -> tuple[str, str, int]:
    return target.scheme, target.host, target.port


async def _read(response: Any, most: int) -> tuple[bytes, bool]:
    kept = bytearray()
    async for piece in response.aiter_raw():
        kept += piece
        if len(kept) > most:
            return bytes(kept[:most]), True
    return bytes(kept), False
