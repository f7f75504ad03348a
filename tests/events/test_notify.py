"""The notify listener: who wants to know is told, in time, whatever servers do."""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest

from aiojobs_engine import (
    Call,
    ConfigError,
    Engine,
    JobCompleted,
    JobEvent,
    JobFailed,
    Retry,
    SignatureMismatch,
    Webhook,
    verify_webhook,
)
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.webhooks import signed, verify
from aiojobs_engine.events.listeners.notify import Notifier, body_of
from aiojobs_engine.net.addresses import AddressRules
from aiojobs_engine.net.breaker import FAILURES, SECONDS
from aiojobs_engine.settings import load_settings
from aiojobs_engine.testing import ManualClock, TestEngine
from tests.net.server import Received, Server, answering, never, serving

SECRET = "not-told"


def event(kind: type[JobEvent] = JobCompleted, **fields: Any) -> JobEvent:
    given: dict[str, Any] = {
        "job_id": "job-1",
        "type": "user_import",
        "kind": "import",
        "queue": "default",
        "status": Status.COMPLETED,
        "processed": 3,
        "total": 3,
        "succeeded": 2,
        "failed": 1,
        "user_id": "u7",
        "attempt": 1,
        "at": Instant(1_767_225_600_000),
        "event_id": "12-0",
        **fields,
    }
    return kind(**given)


def settings_of(**notify: Any) -> Settings:
    smtp = notify.pop("smtp", {})
    listeners = notify.pop("listeners", {"notify": True})
    return load_settings(
        environ={},
        overrides={"listeners": listeners, "notify": notify, "smtp": smtp, **notify.pop("more", {})},
    )


def notifier(
    find: Callable[[JobEvent], Any] | None,
    *,
    port: int = 80,
    clock: ManualClock | None = None,
    verify: ssl.SSLContext | None = None,
    **notify: Any,
) -> Notifier:
    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    rules = AddressRules(ports=(port,), allowed=("127.0.0.0/8",), resolve=here)
    return Notifier(
        settings_of(**notify),
        clock or ManualClock(),
        find,
        rules=rules,
        verify=verify or ssl.create_default_context(),
        rng=Random(1),
    )


def hooks(server: Server, count: int = 1) -> list[Webhook]:
    return [Webhook(f"http://hook-{number}.example:{server.port}/in", SECRET) for number in range(count)]


async def test_a_webhook_brings_the_event_signed_and_its_receiver_can_tell() -> None:
    clock = ManualClock()
    async with serving(answering("200 OK")) as server:
        telling = notifier(lambda _: hooks(server), port=server.port, clock=clock)
        await telling.hear(event())

    (received,) = server.received
    told = json.loads(received.body)
    assert (told["event"], told["job_id"], told["status"], told["user_id"]) == (
        "JobCompleted",
        "job-1",
        "completed",
        "u7",
    )
    assert (told["succeeded"], told["failed"], told["at"]) == (2, 1, "2026-01-01T00:00:00Z")
    assert received.headers["content-type"] == "application/json"
    assert verify(received.body, received.headers, SECRET, now=clock.now() / 1000) == "12-0"
    assert telling.delivered == 1


def test_what_was_not_signed_with_the_secret_just_now_is_refused() -> None:
    body = body_of(event())
    headers = signed("12-0", 1000, body, SECRET)

    assert verify(body, {name.title(): value for name, value in headers.items()}, SECRET, now=1200) == "12-0"
    two = headers | {"webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}
    assert verify(body, two, SECRET, now=1000) == "12-0"
    wrong: list[tuple[bytes, dict[str, str], str, float]] = [
        (body + b" ", headers, SECRET, 1000),
        (body, headers, "other", 1000),
        (body, headers, SECRET, 1301),
        (body, headers, SECRET, 699),
        (body, headers | {"webhook-id": "13-0"}, SECRET, 1000),
        (body, headers | {"webhook-timestamp": "1001"}, SECRET, 1000),
        (body, headers | {"webhook-timestamp": "soon"}, SECRET, 1000),
        (body, headers | {"webhook-timestamp": "9" * 5000}, SECRET, 1000),
        (body, headers | {"webhook-signature": "v2," + headers["webhook-signature"][3:]}, SECRET, 1000),
        (body, headers | {"webhook-signature": ""}, SECRET, 1000),
        (body, {}, SECRET, 1000),
    ]
    for given in wrong:
        with pytest.raises(SignatureMismatch):
            verify(*given[:3], now=given[3])
    with pytest.raises(SignatureMismatch, match="ago"):
        verify_webhook(body, headers, SECRET)


def test_encoded_secrets_are_decoded_and_empty_ones_refused() -> None:
    encoded = signed("1", 1, b"x", "whsec_bm90LXRvbGQ=")

    assert encoded == signed("1", 1, b"x", SECRET)
    for secret in ("", "whsec_%%%"):
        with pytest.raises(ConfigError, match="secret"):
            signed("1", 1, b"x", secret)


@pytest.mark.case("E8")
async def test_a_server_that_fails_is_tried_again_with_growing_pauses_and_then_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    async with serving(answering("500 Oops")) as server:
        telling = notifier(lambda _: hooks(server), port=server.port, clock=clock, attempts=4)
        await until_done(telling.hear(event()), clock)

    assert len(server.received) == 4
    assert {received.headers["webhook-id"] for received in server.received} == {"12-0"}
    assert 15 < clock.monotonic() < 30
    assert (telling.delivered, telling.failed) == (0, 1)
    assert "hook-0.example could not be told that job job-1 is completed" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.case("E8")
async def test_a_server_that_does_not_answer_costs_its_own_recipient_only() -> None:
    clock = ManualClock()
    async with serving(never) as dead, serving(answering("200 OK")) as alive:
        slow = Webhook(f"http://dead.example:{dead.port}/", SECRET)
        rules = AddressRules(ports=(dead.port, alive.port), allowed=("127.0.0.1",), resolve=_here)
        telling = Notifier(
            settings_of(attempts=1),
            clock,
            lambda _: [slow, *hooks(alive)],
            rules=rules,
            verify=ssl.create_default_context(),
        )
        await until_done(telling.hear(event()), clock)

    assert 10 <= clock.monotonic() < 12
    assert (telling.delivered, telling.failed) == (1, 1)


@pytest.mark.case("E8")
@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "401 Unauthorized", "302 Found"])
async def test_an_answer_that_no_repeat_can_change_is_final(status: str) -> None:
    clock = ManualClock()
    async with serving(answering(status)) as server:
        telling = notifier(lambda _: hooks(server), port=server.port, clock=clock, attempts=5)
        await until_done(telling.hear(event()), clock)

    assert len(server.received) == (5 if status.startswith("302") else 1)


@pytest.mark.case("E8")
async def test_a_host_that_fails_again_and_again_is_left_alone_for_a_minute() -> None:
    clock = ManualClock()
    answers = ["500 Oops"] * FAILURES + ["200 OK"]

    async def turning(received: Received, writer: asyncio.StreamWriter) -> None:
        await answering(answers[min(len(server.received), len(answers)) - 1])(received, writer)

    async with serving(turning) as server:
        telling = notifier(lambda _: hooks(server), port=server.port, clock=clock, attempts=1)
        for _ in range(FAILURES + 10):
            await telling.hear(event())
        assert len(server.received) == FAILURES
        await clock.advance(SECONDS)
        await telling.hear(event())
        await telling.hear(event())

    assert len(server.received) == FAILURES + 2
    assert (telling.delivered, telling.failed) == (2, FAILURES + 10)


@pytest.mark.case("X3", "X5")
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://localhost/",
        "file:///etc/passwd",
        "http://[::1]/",
        "http://a.b:22/",
    ],
)
async def test_a_webhook_does_not_lead_inside(url: str, caplog: pytest.LogCaptureFixture) -> None:
    telling = Notifier(
        settings_of(), ManualClock(), lambda _: [Webhook(url, SECRET)], verify=ssl.create_default_context()
    )

    await telling.hear(event())

    assert telling.failed == 1
    assert "could not be told" in caplog.text


async def test_functions_are_called_and_one_that_hangs_or_raises_harms_no_other() -> None:
    clock = ManualClock()
    told: list[str] = []

    async def hang(heard: JobEvent) -> None:
        await asyncio.Event().wait()

    async def broken(heard: JobEvent) -> None:
        raise RuntimeError("no")

    def plain(heard: JobEvent) -> None:
        told.append(heard.job_id)

    telling = notifier(lambda _: [Call(hang), Call(broken), Call(plain)], clock=clock, attempts=2)
    await until_done(telling.hear(event()), clock)

    assert told == ["job-1"]
    assert (telling.delivered, telling.failed) == (1, 2)


async def test_who_is_told_depends_on_the_user_and_on_what_ended() -> None:
    told: list[tuple[str, str]] = []

    async def find(heard: JobEvent) -> Iterable[Call] | None:
        async def call(heard: JobEvent) -> None:
            told.append((str(heard.user_id), str(heard.status)))

        return [Call(call)] if heard.user_id else None

    telling = notifier(find)
    for heard in (
        event(user_id="ann"),
        event(user_id=None),
        event(JobFailed, user_id="bob", status=Status.FAILED),
        event(user_id="chunk", parent_id="bulk"),
        event(user_id="eve", status=Status.CANCELLED),
    ):
        await telling.hear(heard)

    assert told == [("ann", "completed"), ("bob", "failed")]


@pytest.mark.parametrize("found", [["a@b.c"], "a@b.c", 5, {"to": "a"}])
async def test_recipients_are_what_they_should_be(found: Any) -> None:
    with pytest.raises(ConfigError, match="recipients are"):
        await notifier(lambda _: found).hear(event())


@pytest.mark.parametrize(
    "config, told",
    [
        ({"listeners": {"notify": True}}, ["report", "mail"]),
        ({"listeners": {"notify": False}}, []),
        ({}, []),
        ({"kinds": {"job": {"listeners": {"notify": True}}}}, ["report", "mail"]),
        ({"jobs": {"mail": {"listeners": {"notify": True}}}}, ["mail"]),
        ({"listeners": {"notify": True}, "jobs": {"mail": {"listeners": {"notify": False}}}}, ["report"]),
        (
            {
                "kinds": {"job": {"listeners": {"notify": False}}},
                "jobs": {"mail": {"listeners": {"notify": True}}},
                "listeners": {"notify": True},
            },
            ["mail"],
        ),
    ],
)
async def test_switches_for_all_by_kind_and_by_type_are_obeyed(
    config: dict[str, Any], told: list[str]
) -> None:
    engine = Engine("memory://", config=config)
    heard: list[str] = []

    async def call(event: JobEvent) -> None:
        heard.append(event.type)

    @engine.recipients
    def everybody(event: JobEvent) -> list[Call]:
        return [Call(call)]

    @engine.job(name="report")
    async def report() -> None: ...

    @engine.job(name="mail", retry=Retry.none())
    async def mail() -> None:
        raise RuntimeError

    async with TestEngine(engine) as t:
        await engine.dispatch(report)
        await engine.dispatch(mail)
        await t.drain()

    assert sorted(heard) == sorted(told)


async def test_notify_without_anybody_to_tell_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine("memory://", config={"listeners": {"notify": True}})

    @engine.job(name="report")
    async def report() -> None: ...

    async with TestEngine(engine) as t:
        await engine.dispatch(report)
        with caplog.at_level(logging.WARNING):
            await t.drain()

    assert caplog.text.count("nobody is told") == 1


def test_there_is_one_function_of_recipients() -> None:
    engine = Engine("memory://")
    engine.recipients(lambda _: [])

    with pytest.raises(ConfigError, match=r"one @engine\.recipients"):
        engine.recipients(lambda _: [])


def test_secrets_of_the_settings_are_not_shown() -> None:
    settings = settings_of(secret="hunter2", webhook="https://a.b/c", smtp={"password": "hunter2"})

    assert "hunter2" not in f"{settings!r} {Webhook('https://a.b/', 'hunter2')!r}"


async def _here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def until_done(telling: Any, clock: ManualClock) -> None:
    """Let `telling` end, moving time only while nothing else happens."""
    task = asyncio.get_running_loop().create_task(telling)
    while not task.done():
        await asyncio.wait([task], timeout=0.02)
        await clock.advance(0.5)
    await task
