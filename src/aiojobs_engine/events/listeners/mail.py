"""E-mail by SMTP: one message, sent from a thread within a deadline."""

import contextlib
import smtplib
import ssl
from email.message import EmailMessage

from anyio import CapacityLimiter, to_thread

from aiojobs_engine.core.config import SmtpSettings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.events import JobEvent
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.limits import one_line
from aiojobs_engine.events.listeners.log import line_of

_MOST_THREADS = 4


class Mailer:
    """Sends e-mail through the server of `[smtp]`."""

    def __init__(self, settings: SmtpSettings, *, verify: ssl.SSLContext | None = None) -> None:
        """Connect with each message anew; `verify` in place of the authorities of this machine."""
        self._settings = settings
        self._verify = verify
        self._threads = CapacityLimiter(_MOST_THREADS)

    async def send(self, address: str, event: JobEvent, seconds: float) -> None:
        """Tell `address` of an event.

        Raises:
            ConfigError: `[smtp]` names no server, or the address can't be one.
            OSError, smtplib.SMTPException: the server can't be reached or refuses the message.
        """
        message = message_of(event, address, self._sender())
        await to_thread.run_sync(self._send, message, seconds, abandon_on_cancel=True, limiter=self._threads)

    def _sender(self) -> str:
        settings = self._settings
        sender = settings.sender or settings.user
        if settings.host is None or sender is None:
            raise ConfigError("e-mail needs smtp.host and smtp.sender in the configuration")
        return sender

    def _send(self, message: EmailMessage, seconds: float) -> None:
        settings = self._settings
        host = settings.host or ""
        context = self._verify or ssl.create_default_context()
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, settings.port, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(host, settings.port, timeout=seconds)
        try:
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.user is not None:
                server.login(settings.user, settings.password or "")
            server.send_message(message)
            with contextlib.suppress(OSError, smtplib.SMTPException):
                server.quit()  # the message is taken: whatever comes now must not send it again
        finally:
            server.close()


def message_of(event: JobEvent, address: str, sender: str) -> EmailMessage:
    """A few lines about a job; everything in it is masked and free of control characters.

    Raises:
        ConfigError: the address can't be one.
    """
    if "@" not in address or not address.isprintable() or any(char in address for char in " ,;<>"):
        raise ConfigError(f"{address!r:.80} is no e-mail address")
    message = EmailMessage()
    message["From"] = sender
    message["To"] = address
    message["Subject"] = f"{event.type}: {event.status}"
    message["Auto-Submitted"] = "auto-generated"
    facts = [
        one_line(line_of(event)),
        "",
        f"job      {event.job_id}",
        f"type     {event.type}",
        f"status   {event.status}",
        f"attempt  {event.attempt}",
        f"at       {moment(event.at):%Y-%m-%d %H:%M:%S} UTC",
    ]
    if event.total:
        facts.append(f"rows     {event.succeeded:,} of {event.total:,}, {event.failed:,} failed")
    message.set_content("\n".join(facts))
    return message
