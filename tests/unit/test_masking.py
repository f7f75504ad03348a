"""Secrets of known forms and under known keys are masked, and nothing else is."""

import base64
import logging
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.masking import MASK, TEXT_CHARS, Masker, masker_of
from aiojobs_engine.core.secret import Secret
from aiojobs_engine.telemetry.masking import MaskingFilter

MASKER = masker_of()
ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "-_"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA{}\nx9\n-----END RSA PRIVATE KEY-----"


def drawn(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


def jwt(text: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(f'{{"sub":"{text}"}}'.encode()).decode().rstrip("=")
    return f"{head}.{body}.{text}"


SPACED = drawn(ALNUM + " /+.", 4, 40).map("q{}".format)

SECRETS: dict[str, tuple[st.SearchStrategy[str], Callable[[str], str]]] = {
    "jwt": (drawn(URL_SAFE, 20, 60), jwt),
    "bearer": (drawn(ALNUM, 8, 60).map(lambda text: f"a1B{text}"), "Authorization: Bearer {}".format),
    "bare bearer": (drawn(ALNUM, 8, 60).map(lambda text: f"a1B{text}"), "bearer {}".format),
    "basic": (drawn(ALNUM, 12, 60), "Authorization: Basic {}==".format),
    "aws id": (drawn(string.ascii_uppercase + string.digits, 16, 16), "AKIA{}".format),
    "aws secret": (drawn(ALNUM + "/+", 40, 40), "aws_secret_access_key = {}".format),
    "github": (drawn(ALNUM, 36, 36), "ghp_{}".format),
    "github fine": (drawn(ALNUM + "_", 60, 82), "github_pat_{}".format),
    "slack": (drawn(string.digits, 10, 12), "xoxb-{}-abcdef".format),
    "stripe": (drawn(ALNUM, 24, 99), "sk_live_{}".format),
    "stripe test": (drawn(ALNUM, 24, 99), "rk_test_{}".format),
    "openai": (drawn(ALNUM, 32, 48), "sk-{}".format),
    "google": (drawn(URL_SAFE, 35, 35), "AIza{}".format),
    "pem": (drawn(ALNUM, 40, 64), PEM.format),
    "url": (drawn(ALNUM + "-._~!$&()*+=:%", 4, 40), "redis://:{}@h:6379/0".format),
    "url with user": (drawn(ALNUM + "-._~!$&()*+=:%", 4, 40), "postgresql+asyncpg://app:{}@db-1/x".format),
    "url with slash": (drawn(ALNUM + "/", 4, 40).map(lambda text: f"q{text}"), "amqp://u:{}@h".format),
    "coded url": (drawn(ALNUM, 4, 40), "next=redis%3A%2F%2F%3A{}%40h%3A6379".format),
    "key": (drawn(ALNUM + "/+.", 4, 40).map("q{}".format), "the password={}, they say".format),
    "json": (SPACED, '{{"x": 1, "db_password": "{}", "y": 2}}'.format),
    "json in json": (SPACED, '"{{\\"clientSecret\\": \\"{}\\"}}"'.format),
    "dict": (SPACED, "KeyError: {{'api_key': '{}'}}".format),
    "option": (drawn(ALNUM, 4, 40).map("q{}".format), "ran ['x'] --token {} -v".format),
    "header": (drawn(ALNUM, 4, 40).map("q{}".format), "X-Api-Key: {}\nHost: a.b".format),
    "cookie": (drawn(ALNUM, 4, 40).map("q{}".format), "Cookie: a=b; sid={}\nHost: a.b".format),
    "query": (drawn(ALNUM, 4, 40).map("q{}".format), "https://a.b/x?access_token={}&page=2".format),
    "hook": (drawn(ALNUM, 20, 24), "https://hooks.slack.com/services/T0001/B0001/{}".format),
}


@pytest.mark.case("X19")
@pytest.mark.parametrize("form", SECRETS)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), before=st.sampled_from(["", "failed: ", "a;", '{"x":"', "(", "é\n\t"]))
def test_no_random_secret_of_a_known_form_survives(form: str, data: st.DataObject, before: str) -> None:
    strategy, written = SECRETS[form]
    secret = data.draw(strategy)
    text = f"{before}{written(secret)} and more"

    masked = MASKER.text(text)

    assert secret not in masked
    assert MASK in masked
    assert masked.endswith("and more") or form in {"bearer", "basic"}
    assert MASKER.text(masked) == masked


@pytest.mark.case("X19")
@given(
    passwords=st.lists(drawn(ALNUM + "-._~!$&()*+:%", 5, 20), min_size=2, max_size=5),
    joint=st.sampled_from(";, |"),
)
def test_every_password_of_several_urls_in_one_text_is_masked(passwords: list[str], joint: str) -> None:
    text = joint.join(f"redis://:{password}@host-{place}" for place, password in enumerate(passwords))

    masked = MASKER.text(text)

    assert masked == joint.join(f"redis://:{MASK}@host-{place}" for place in range(len(passwords)))


@pytest.mark.case("X19")
def test_a_secret_is_masked_in_keys_in_depth_and_over_line_breaks() -> None:
    token = "ghp_" + "a1" * 18
    wrapped = jwt("c2lnbmF0dXJlMDEyMzQ1Njc4OTAxMjM0NTY3ODkw")
    folded = f"{wrapped[:30]}\n{wrapped[30:70]}\r\n{wrapped[70:]}"

    shown = str(MASKER.data({token: 1, "a": [{"b": {"c": [f"x {token}"]}}], "log": folded}))

    assert token not in shown
    assert all(piece not in shown for piece in (wrapped[:30], wrapped[30:70], wrapped[-20:]))


@pytest.mark.parametrize(
    "text",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "mail-7.eu-west-1.internal:25 is away",
        "http://host:8080/path?email=ann@example.org",
        "https://example.org:443, mail ann@example.org",
        "aiojobs_engine 1.2.3, python 3.11.7, kernel 6.1.0-17-amd64",
        "com.example.billing.InvoiceMailer$Task",
        "job 01J8ZC3M8B7K6QW3N0V5T4R2YX (app.send_welcome) failed, attempt 3",
        "the lease of job x (token 5) was lost; token=6, max_tokens: 4096",
        "Bearer authentication is wanted, Basic understanding helps",
        "the secretary: Bob; a passenger=3; tokenizer: fast; author: Ann",
        "risk-adjusted-return-on-capital-and-more, task-0123456789-0123456789",
        "password=None, secret: null, token = false",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "akia is no key, neither is AKIA1234, ghp_short or sk_live",
        "eyJ is how base64 of JSON begins",
        "sqlite:////var/lib/jobs.db",
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert MASKER.text(text) == text
    assert MASKER.data({"x": [text]}) == {"x": [text]}


@given(st.uuids())
def test_no_uuid_is_taken_for_a_secret(number: uuid.UUID) -> None:
    assert MASKER.text(f"job {number}, {number.hex}") == f"job {number}, {number.hex}"


@given(drawn(string.hexdigits.lower(), 32, 128))
def test_no_hash_is_taken_for_a_secret(digest: str) -> None:
    assert MASKER.text(f"sha {digest}") == f"sha {digest}"


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_masked_and_masking_again_changes_nothing(text: str) -> None:
    assert MASKER.text(MASKER.text(text)) == MASKER.text(text)


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "DB_PASSWORD",
        "apiKey",
        "api-key",
        "x-api-key",
        "APIKey",
        "accessToken",
        "refresh_tokens",
        "userPwd",
        "clientSecret",
        "Authorization",
        "Set-Cookie",
        "private_key",
        "credentials",
        "auth",
        "pin",
        "sessionId",
        "cvv",
    ],
)
def test_what_stands_under_the_key_of_a_secret_is_masked_whole(key: str) -> None:
    assert MASKER.data({key: {"a": ["b"]}}) == {key: MASK}
    assert MASKER.data({"deep": [{key: "x"}]}) == {"deep": [{key: MASK}]}


@pytest.mark.parametrize(
    "key",
    ["passenger", "author", "secretary", "key", "keyboard", "tokenizer", "compass", "pinned", "cookiecutter"],
)
def test_other_keys_show_their_values(key: str) -> None:
    assert MASKER.data({key: "x"}) == {key: "x"}


HIDDEN = "c4n4rYw1thT33th"


@pytest.mark.case("X19")
@pytest.mark.parametrize(
    "text",
    [
        f'Authorization: Digest username="ann", realm="x", response="{HIDDEN}"',
        f"AccountName=shop;AccountKey={HIDDEN}==;EndpointSuffix=core.example",
        f"https://store/b/k?X-Amz-Date=1&X-Amz-Signature={HIDDEN}",
        f"SharedAccessSignature={HIDDEN}",
        f"DB_PASS={HIDDEN}",
        f"smtpPass: '{HIDDEN}'",
        f'password = """{HIDDEN}"""',
        f"<user><password>{HIDDEN}</password></user>",
        f"[('host', 'x'), ('Set-Cookie', 'sid={HIDDEN}; Path=/')]",
        f"[(b'host', b'x'), (b'x-api-key', b'{HIDDEN}')]",
        f"git clone https://{HIDDEN * 2}@git.example/a.git",
        f"ya29.{HIDDEN * 3}",
        f"hvs.{HIDDEN * 3}",
        f"dckr_pat_{HIDDEN * 2}",
        f"https://discord.example/api/webhooks/123456/{HIDDEN * 3}",
        f"https://api.telegram.org/bot123456:{HIDDEN * 2}/sendMessage",
    ],
)
def test_secrets_in_rarer_forms_are_masked_too(text: str) -> None:
    shown = MASKER.text(text)

    assert HIDDEN not in shown
    assert MASKER.text(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@github.com/a/b.git",
        "passed: 3, failed: 1",
        "bypass=3",
        "<title>secret santa</title>",
        "('name', 'email')",
        "signature: (a, b)",
        "account=7",
        "GET /api/webhooks/list",
        "hvs.short",
        "compass: north",
    ],
)
def test_what_only_looks_like_a_rarer_form_is_shown(text: str) -> None:
    assert MASKER.text(text) == text


def test_flags_and_counts_under_such_keys_are_no_secrets() -> None:
    data = {"has_password": True, "token": 7, "max_tokens": 512, "secret": None}

    assert MASKER.data(data) == data
    assert MASKER.data({"pin": 1234}) == {"pin": MASK}


def test_keys_and_patterns_of_ones_own_are_masked_too() -> None:
    masker = Masker(keys=["iban", "patientId"], patterns=[r"\bACME-\d{6}\b"])

    assert masker.data({"IBAN": "DE1", "patient_id": 3, "urban": 1}) == {
        "IBAN": MASK,
        "patient_id": MASK,
        "urban": 1,
    }
    assert masker.text("iban=DE89, patient-id: 17, ACME-123456") == f"iban={MASK}, patient-id: {MASK}, {MASK}"


@pytest.mark.parametrize("pattern", ["(", "x*", ""])
def test_a_pattern_that_can_not_work_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"masking\.patterns"):
        Masker(patterns=[pattern])


def test_a_key_without_letters_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"masking\.keys"):
        Masker(keys=["--"])


def test_depth_and_size_are_bounded_and_nothing_unmasked_slips_through() -> None:
    deep: object = "ghp_" + "a1" * 18
    for _ in range(100):
        deep = {"x": [deep]}

    shown = msgspec.json.encode(MASKER.data(deep)).decode()
    wide = MASKER.data({"rows": list(range(100_000))})
    long = MASKER.text("x" * (TEXT_CHARS // 2 - 20) + " password=hunter2hunter2" * 100_000)
    half_key = MASKER.text(f"{PEM.format('hunter2' * 20_000)} is the end")

    assert "nested too deep" in shown
    assert "ghp_" not in shown
    assert len(wide["rows"]) <= 10_001
    assert len(long) <= TEXT_CHARS
    assert "hunter2" not in long
    assert "hunter2" not in half_key
    assert half_key.endswith("is the end")


@pytest.mark.parametrize(
    "piece",
    [
        "eyJabcdefghijk\n",
        "eyJ",
        "Bearer ",
        "--a key",
        "%3A%2F%2F",
        "://a:",
        "-----BEGIN PRIVATE KEY-----",
        'password="',
        "api-",
        "sk-",
        "token: {",
        "basic a",
        'password="""',
        "<password>",
        "(b'password', b'",
        "cookie: a='",
        "://aaaaaaaaaaaaaaaaaaaaaaaaa",
    ],
)
def test_no_text_makes_masking_slow(piece: str) -> None:
    """Twice the text takes about twice the work: what grows faster would never end at these sizes."""
    text = (piece * TEXT_CHARS)[:TEXT_CHARS]

    assert len(MASKER.text(text)) <= TEXT_CHARS * 2


@dataclass
class Account:
    name: str
    password: str


class Model(pydantic.BaseModel):
    name: str
    pin_code: pydantic.SecretStr


def test_secret_types_and_models_show_nothing() -> None:
    hidden = {
        "a": Secret("hunter2"),
        "b": pydantic.SecretStr("hunter2"),
        "c": Account("ann", "hunter2"),
        "d": Model(name="ann", pin_code=pydantic.SecretStr("hunter2")),
        "e": object(),
    }

    shown = MASKER.data(hidden)

    assert "hunter2" not in str(shown)
    assert (shown["a"], shown["b"], shown["c"]) == (MASK, MASK, {"name": "ann", "password": MASK})
    assert shown["e"] == "<object>"
    assert "hunter2" not in f"{hidden['a']} {hidden['a']!r} {[hidden['b']]}"


def test_encoded_json_is_masked_and_what_is_no_json_is_not_shown() -> None:
    assert MASKER.encoded(b'{"password":"x","n":[1,2.5,null,true]}') == {
        "password": MASK,
        "n": [1, 2.5, None, True],
    }
    assert MASKER.encoded(b'{"p":{"$secret":"x"}}') == {"p": MASK}
    assert MASKER.encoded(b"\xff{") == MASK
    assert MASKER.encoded(b"") is None


def test_the_logging_filter_masks_messages_tracebacks_and_extra_fields() -> None:
    records: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Keeping()
    handler.addFilter(MaskingFilter())
    logger = logging.Logger("test")  # noqa: LOG001 - nobody else hears it
    logger.addHandler(handler)
    try:
        int("redis://:hunter2@h")
    except ValueError:
        logger.exception(
            "can't reach %s", "redis://:hunter2@h", extra={"api_key": "hunter2", "job": {"pwd": "hunter2"}}
        )

    shown = f"{vars(records[0])} {logging.Formatter().format(records[0])}"
    assert "hunter2" not in shown
    assert "base 10: 'redis://:***@h'" in shown
    assert records[0].getMessage() == "can't reach redis://:***@h"


def test_a_record_whose_arguments_do_not_fit_passes_as_it_is() -> None:
    record = logging.LogRecord("test", logging.INFO, "", 1, "%d", ("x",), None)

    assert MaskingFilter().filter(record)
    assert record.args == ("x",)


def test_a_password_that_begins_like_a_port_is_masked() -> None:
    assert MASKER.text("redis://app:000)@db-1/x") == "redis://app:***@db-1/x"
    assert MASKER.text("(http://host:80), a@b") == "(http://host:80), a@b"
