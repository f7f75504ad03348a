"""The notify listener: who wants to know is told how a job ended, by webhook, e-mail or a call."""

import inspect
import logging
import smtplib
import ssl
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, assert_never
from urllib.parse import urlsplit

import msgspec
from anyio import CapacityLimiter, create_task_group

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import TERMINAL_EVENTS, JobEvent
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.masking import redacted
from aiojobs_engine.core.webhooks import signed
from aiojobs_engine.events.bus import Subscription, call_listener
from aiojobs_engine.events.listeners.mail import Mailer
from aiojobs_engine.events.listeners.recipients import (
    Call,
    Email,
    FindRecipients,
    Recipient,
    Webhook,
    checked_recipients,
)
from aiojobs_engine.events.switches import Switches
from aiojobs_engine.net.addresses import AddressRefused, AddressRules
from aiojobs_engine.net.breaker import Breaker
from aiojobs_engine.net.deadline import within
from aiojobs_engine.net.request import Bounds, Requests
from aiojobs_engine.ports.clock import Clock
from aiojobs_engine.ports.observer import ListenerLoad

logger = logging.getLogger(__name__)

PLACE = "aiojobs.notify"
WIDTH = 16

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_FACTOR = 4
_PLACES = 1000
_AGAIN = frozenset({408, 409, 425, 429})
_CLIENT_ERRORS = range(400, 500)

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Undeliverable(Exception):
    """Trying again can't help."""


class Notifier:
    """Tells recipients of events, each on its own, with deadlines, retries and a breaker per place.

    Attributes:
        delivered: how many recipients were told.
        failed: how many could not be.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        find: FindRecipients | None,
        *,
        rules: AddressRules | None = None,
        verify: ssl.SSLContext | None = None,
        rng: Random | None = None,
    ) -> None:
        """Tell those that `find` answers, and those of the settings.

        Raises:
            ConfigError: a port or an allowed address of `notify` is none.
        """
        notify = settings.notify
        self._settings = notify
        self._switches = Switches(settings, "notify")
        self._clock = clock
        self._find = find
        self._rules = rules or AddressRules(ports=notify.ports, allowed=notify.allow)
        self._verify = verify
        self._rng = rng or Random()
        self._requests: Requests | None = None
        self._mailer = Mailer(settings.smtp, verify=verify)
        self._threads = CapacityLimiter(WIDTH)
        self._breakers: dict[str, Breaker] = {}
        self._fixed: list[Recipient] = [Email(address) for address in notify.email]
        if notify.webhook is not None:
            self._fixed.append(Webhook(notify.webhook, notify.secret or ""))
        self.delivered = 0
        self.failed = 0
        self._errors: Counter[str] = Counter()

    @property
    def has_recipients(self) -> bool:
        """Whether anybody may have to be told."""
        return self._find is not None or bool(self._fixed)

    @property
    def load(self) -> ListenerLoad:
        """How often a recipient could not be told so far, tries that were repeated included."""
        return ListenerLoad(failed=dict(self._errors))

    async def hear(self, event: JobEvent) -> None:
        """Tell everybody who wants to know, at the same time.

        Raises:
            Exception: what the function raised that says who that is.
        """
        if not self._wants(event):
            return
        recipients = [*self._fixed, *await self._found(event)]
        async with create_task_group() as group:
            for recipient in recipients:
                group.start_soon(self._tell, recipient, event)

    def _wants(self, event: JobEvent) -> bool:
        return (
            event.parent_id is None
            and event.status in self._settings.statuses
            and self._switches.is_on(event.type, event.kind)
        )

    async def _found(self, event: JobEvent) -> Sequence[Recipient]:
        if self._find is None:
            return ()
        found: Any = self._find(event)
        return checked_recipients(await found if inspect.isawaitable(found) else found)

    async def _tell(self, recipient: Recipient, event: JobEvent) -> None:
        pause = _FIRST_PAUSE
        breaker = self._breaker(_place(recipient))
        for left in reversed(range(self._settings.attempts)):
            if not breaker.allows():
                self._give_up(recipient, event, "it failed too often and is left alone for a minute")
                return
            try:
                await self._deliver(recipient, event)
            except (Undeliverable, ConfigError, AddressRefused) as error:
                breaker.forget()
                self._errors[type(error).__qualname__] += 1
                self._give_up(recipient, event, str(error))
                return
            except Exception as error:  # noqa: BLE001 - whatever a server or a call does, others are told
                breaker.note(succeeded=False)
                self._errors[type(error).__qualname__] += 1
                if not left:
                    self._give_up(recipient, event, f"{type(error).__name__}: {error}")
                    return
            except BaseException:
                breaker.forget()
                raise
            else:
                breaker.note(succeeded=True)
                self.delivered += 1
                return
            await self._clock.sleep(pause * self._rng.uniform(0.8, 1.2))
            pause = min(pause * _FACTOR, _LONGEST_PAUSE)

    def _breaker(self, place: str) -> Breaker:
        if place not in self._breakers and len(self._breakers) >= _PLACES:
            self._breakers = {name: kept for name, kept in self._breakers.items() if kept.is_open}
        return self._breakers.setdefault(place, Breaker(self._clock))

    async def _deliver(self, recipient: Recipient, event: JobEvent) -> None:
        seconds = self._settings.timeout
        match recipient:
            case Webhook():
                await self._post(recipient, event)
            case Email(address=address):
                async with within(self._clock, 3 * seconds):
                    await self._mail(address, event, seconds)
            case Call(function=function):
                async with within(self._clock, seconds):
                    await call_listener(function, event, self._threads)
            case _:
                assert_never(recipient)

    async def _post(self, webhook: Webhook, event: JobEvent) -> None:
        if self._requests is None:
            self._requests = Requests(self._rules, self._clock, verify=self._verify)
        body = body_of(event)
        headers = {
            "content-type": "application/json",
            "user-agent": "aiojobs-engine",
            **signed(event.event_id, self._clock.now() // 1000, body, webhook.secret),
        }
        bounds = Bounds(seconds=self._settings.timeout, same_host=True)
        answer = await self._requests.send("POST", webhook.url, headers=headers, body=body, bounds=bounds)
        if answer.is_good:
            return
        if answer.status in _CLIENT_ERRORS and answer.status not in _AGAIN:
            raise Undeliverable(f"it answered {answer.status}")
        raise ConnectionError(f"it answered {answer.status}")

    async def _mail(self, address: str, event: JobEvent, seconds: float) -> None:
        try:
            await self._mailer.send(address, event, seconds)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
            raise Undeliverable(f"{type(error).__name__}: {error}") from error

    def _give_up(self, recipient: Recipient, event: JobEvent, why: str) -> None:
        self.failed += 1
        logger.error(
            "%s could not be told that job %s is %s: %s",
            _shown(recipient),
            event.job_id,
            event.status,
            redacted(why),
        )


def notify_subscription(notifier: Notifier, settings: Settings) -> Subscription | None:
    """The notify listener, None when it is off everywhere, or when nobody is to be told."""
    if Switches(settings, "notify").is_off_everywhere:
        return None
    if not notifier.has_recipients:
        logger.warning(
            "notify is on, and nobody is told: name recipients by @engine.recipients or in [notify]"
        )
        return None
    return Subscription(call=notifier.hear, classes=TERMINAL_EVENTS, durable=PLACE, width=WIDTH)


def body_of(event: JobEvent) -> bytes:
    """An event as a webhook carries it; its texts were masked before they were stored."""
    own = {name: getattr(event, name) for name in event.__struct_fields__ if name not in ("at", "parent_id")}
    return _encode({"event": type(event).__name__, **own, "at": moment(event.at)})


def _place(recipient: Recipient) -> str:
    """What fails together: a host, the mail server, a function."""
    match recipient:
        case Webhook(url=url):
            return f"host {_host(url)}"
        case Email():
            return "smtp"
        case Call(function=function):
            return f"call {id(function)}"
        case _:
            assert_never(recipient)


def _shown(recipient: Recipient) -> str:
    match recipient:
        case Webhook(url=url):
            return f"the webhook at {_host(url)}"
        case Email(address=address):
            return f"the mailbox {address!r:.80}"
        case Call(function=function):
            return f"the call of {getattr(function, '__qualname__', 'a function')}"
        case _:
            assert_never(recipient)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"
