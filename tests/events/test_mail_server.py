"""E-mail through a real SMTP server: safe connections, certificates, logins, and a server that hangs."""

import asyncio
import gc
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from aiojobs_engine import Email
from aiojobs_engine.testing import ManualClock
from tests.events.test_notify import event, notifier, until_done

# the server's own: it leaves sockets of refused connections behind, and warns of what it does itself
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

AUTHORITY = trustme.CA()
PASSWORD = "hunter2-hunter2"


def server_context(name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.fixture(autouse=True)
def _leave_nothing() -> Iterator[None]:
    """Let the warnings of what the server left behind come in the test that they belong to."""
    yield
    gc.collect()


class Server:
    """What the server took, and who logged in."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.was_safe: list[bool] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        self.taken.append(envelope)
        self.was_safe.append(
            session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None
        )
        return "250 taken"

    def login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@asynccontextmanager
async def serving(
    security: str, *, name: str = "127.0.0.1", requires_login: bool = False
) -> AsyncGenerator[Server]:
    """A server that wants STARTTLS, or TLS from the first byte."""
    server = Server()
    context = server_context(name)
    made = partial(
        SMTP,
        server,
        hostname="mail.example",
        authenticator=server.login,
        auth_required=requires_login,
        auth_require_tls=security == "starttls",
        tls_context=context if security == "starttls" else None,
        require_starttls=security == "starttls",
        loop=asyncio.get_running_loop(),
    )
    listening = await asyncio.get_running_loop().create_server(
        made, "127.0.0.1", 0, ssl=context if security == "tls" else None
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def telling_by(server: Server, security: str, **given: Any) -> Any:
    smtp = {"host": "127.0.0.1", "port": server.port, "sender": "jobs@example.org", "security": security}
    login = {name: given.pop(name) for name in ("user", "password") if name in given}
    return notifier(lambda _: [Email("ann@example.org")], smtp={**smtp, **login}, **given)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_message_goes_through_a_safe_connection_behind_a_login(security: str) -> None:
    async with serving(security, requires_login=True) as server:
        telling = telling_by(server, security, user="jobs", password=PASSWORD, attempts=1, verify=trusting())
        await telling.hear(event())

    (taken,) = server.taken
    assert (taken.mail_from, taken.rcpt_tos) == ("jobs@example.org", ["ann@example.org"])
    assert b"Subject: user_import: completed" in (taken.content or b"")
    assert server.logins == [(b"jobs", PASSWORD.encode())]
    assert server.was_safe == [True]
    assert (telling.delivered, telling.failed) == (1, 0)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_of_nobody_known_is_refused_and_nothing_is_said(
    security: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(security) as server:
        telling = telling_by(server, security, user="jobs", password=PASSWORD, attempts=1)
        await telling.hear(event())

    assert (server.taken, server.logins, telling.failed) == ([], [], 1)
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_of_another_host_is_refused(
    security: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(security, name="other.example") as server:
        telling = telling_by(server, security, user="jobs", password=PASSWORD, attempts=1, verify=trusting())
        await telling.hear(event())

    assert (server.taken, server.logins, telling.failed) == ([], [], 1)
    assert "IP address mismatch" in caplog.text


async def test_a_wrong_password_is_not_tried_again_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async with serving("starttls", requires_login=True) as server:
        telling = telling_by(
            server, "starttls", user="jobs", password="wr0ngwr0ng", attempts=1, verify=trusting()
        )
        await telling.hear(event())

    assert len({password for _, password in server.logins}) == 1
    assert (server.taken, telling.failed) == ([], 1)
    assert "SMTPAuthenticationError" in caplog.text
    assert "wr0ngwr0ng" not in caplog.text


async def test_a_server_that_says_nothing_costs_its_deadline_and_no_more() -> None:
    clock, connected = ManualClock(), 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    server = Server()
    server.port = listening.sockets[0].getsockname()[1]
    telling = telling_by(server, "starttls", attempts=2, timeout=0.2, clock=clock, verify=trusting())
    await until_done(telling.hear(event()), clock)
    listening.close()

    assert (telling.delivered, telling.failed) == (0, 1)
    assert connected == 2
