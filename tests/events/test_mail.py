"""E-mail: one message to one mailbox, safely or not at all."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aiojobs_engine import Email
from aiojobs_engine.testing import ManualClock
from tests.events.test_notify import event, notifier, until_done


class Mailbox:
    def __init__(self) -> None:
        self.port = 0
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@asynccontextmanager
async def smtp(*refusing: str) -> AsyncGenerator[Mailbox]:
    """A mail server of a few lines, without STARTTLS; it refuses what begins with `refusing`."""
    mailbox = Mailbox()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 mail.example")
        in_data = False
        while line := (await reader.readline()).decode():
            line = line.rstrip("\r\n")
            if in_data:
                in_data = line != "."
                mailbox.lines.append(line)
                if not in_data:
                    say("250 taken")
            elif line.startswith(refusing) and refusing:
                say("451 later")
            elif line.upper() == "DATA":
                in_data = True
                say("354 go on")
            else:
                mailbox.lines.append(line)
                say("500 what" if line.upper() == "QUIT" else "250 fine")
            if line.upper() == "QUIT":
                break
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


def by_mail(mailbox: Mailbox, **smtp_settings: Any) -> dict[str, Any]:
    given = {"host": "127.0.0.1", "port": mailbox.port, "sender": "jobs@example.org", "security": "none"}
    return {"smtp": {**given, **smtp_settings}}


async def test_an_e_mail_says_in_a_few_lines_what_ended() -> None:
    async with smtp() as mailbox:
        telling = notifier(lambda _: [Email("ann@example.org")], **by_mail(mailbox))
        await telling.hear(event())

    assert "Subject: user_import: completed" in mailbox.text
    assert "rcpt TO:<ann@example.org>" in mailbox.text
    assert "rows     2 of 3, 1 failed" in mailbox.text
    assert telling.delivered == 1


async def test_a_mail_server_that_refuses_is_tried_again() -> None:
    clock = ManualClock()
    async with smtp("rcpt") as mailbox:
        telling = notifier(lambda _: [Email("ann@example.org")], clock=clock, attempts=3, **by_mail(mailbox))
        await until_done(telling.hear(event()), clock)

    assert mailbox.text.count("mail FROM") == 3
    assert telling.failed == 1


async def test_nothing_is_sent_in_the_clear_when_the_connection_should_be_safe() -> None:
    async with smtp() as mailbox:
        telling = notifier(
            lambda _: [Email("ann@example.org")],
            **by_mail(mailbox, security="starttls", user="jobs", password="hunter2"),
        )
        await telling.hear(event())

    assert telling.failed == 1
    assert "user_import" not in mailbox.text
    assert "hunter2" not in mailbox.text


@pytest.mark.case("X20")
@pytest.mark.parametrize(
    "address",
    [
        "ann@example.org\r\nBcc: eve@example.org",
        "no address",
        "a@b.c, eve@example.org",
        "<a@b.c>",
        "a@b\u2028c",
    ],
)
async def test_an_address_is_one_mailbox(address: str) -> None:
    async with smtp() as mailbox:
        telling = notifier(lambda _: [Email(address)], **by_mail(mailbox))
        await telling.hear(event())

    assert telling.failed == 1
    assert mailbox.lines == []


async def test_an_e_mail_without_a_server_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    await notifier(lambda _: [Email("ann@example.org")]).hear(event())

    assert "e-mail needs smtp.host" in caplog.text
