"""`url` jobs: HTTP calls to public addresses, within bounds."""

import re
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

from aiojobs_engine.core.errors import Discard, EngineError, RetryLater
from aiojobs_engine.core.instant import Instant, instant
from aiojobs_engine.net.addresses import AddressRefused, AddressRules
from aiojobs_engine.net.request import Answer, Bounds, Requests
from aiojobs_engine.runtime.context import JobContext
from aiojobs_engine.runtime.registry import JobRegistry

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OURS = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "upgrade",
        "te",
        "trailer",
    }
)
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 3600.0


class UrlError(EngineError):
    """The server answered with a status that was not expected."""


class UrlResult(msgspec.Struct, frozen=True):
    """What the server answered.

    Attributes:
        url: the one that answered, after redirects.
        headers: by name in lower case.
        body: the first bytes of it as text; what is no UTF-8 is replaced.
        is_cut: there was more.
    """

    status: int
    url: str
    headers: dict[str, str]
    body: str
    is_cut: bool


def urls(
    *, rules: AddressRules | None = None, bounds: Bounds | None = None, name: str = "url"
) -> JobRegistry:
    """A job type that makes HTTP calls: `engine.dispatch("url", url="https://example.com", method="POST")`.

    Its arguments are `url`, `method`, `headers`, `body` (text) and `expect`, the good statuses (any
    2xx). A URL that may not be called, and a status that another call won't change, end the job;
    `Retry-After` is heeded up to an hour. Needs the extra `http`.

    Args:
        rules: where calls may go; public addresses on ports 80 and 443 without.
        bounds: time, redirects (3) and bytes of a call; the rest of a longer answer is not read.
        name: that of the job type.
    """
    registry = JobRegistry()
    allowed, most = rules or AddressRules(), bounds or Bounds()
    clients: list[Requests] = []

    async def call(
        ctx: JobContext,
        url: str,
        method: Method = "GET",
        headers: dict[str, str] | None = None,
        body: str | None = None,
        expect: list[int] | None = None,
    ) -> UrlResult:
        if not clients:
            clients.append(Requests(allowed, ctx.engine.clock))
        sent = _checked(headers or {}) | {"idempotency-key": ctx.idempotency_key}
        try:
            answer = await clients[0].send(
                method, url, headers=sent, body=None if body is None else body.encode(), bounds=most
            )
        except AddressRefused as error:
            raise Discard(str(error)) from error
        _judge(answer, expect or (), ctx.port.now())
        text = answer.body.decode("utf-8", "replace")
        return UrlResult(answer.status, answer.url, dict(answer.headers), text, answer.is_cut)

    registry.job(name=name)(call)
    return registry


def _checked(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or any(char in value for char in "\r\n\0"):
            raise Discard(f"{name!r:.80} is no header that can be sent")
        if name.lower() in _OURS:
            raise Discard(f"the header {name} is set by the engine alone")
    return {name.lower(): value for name, value in headers.items()}


def _judge(answer: Answer, expect: Sequence[int], now: Instant) -> None:
    if answer.status in expect or (not expect and answer.is_good):
        return
    told = f"{answer.url} answered {answer.status}"
    if answer.status not in _AGAIN:
        raise Discard(told)
    wait = _retry_after(answer.headers.get("retry-after"), now)
    if wait is not None:
        raise RetryLater(wait)
    raise UrlError(told)


def _retry_after(value: str | None, now: Instant) -> float | None:
    """Seconds that the server asks to wait, at most an hour; None when it doesn't say."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), _LONGEST_WAIT)
    try:
        at = instant(parsedate_to_datetime(value))
    except ValueError:
        return None
    return max(0.0, min((at - now) / 1000, _LONGEST_WAIT))
