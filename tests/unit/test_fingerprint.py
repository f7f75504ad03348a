import pytest

from aiojobs_engine.core.fingerprint import fingerprint, shape
from aiojobs_engine.core.status import ErrorInfo

TRACE = """Traceback
  File "/app/mail.py", line {line}, in send
    x()
  File "/lib/smtp.py", line {line}, in {name}
"""


def _mark(
    message: str = "no", *, kind: str = "ValueError", trace: str = "", reason: str = "max_attempts"
) -> str:
    return fingerprint("mail", ErrorInfo(kind, message, trace, reason))


@pytest.mark.parametrize(
    "first, second",
    [
        ("user 17 is gone", "user 4711 is gone"),
        ("no column 'e-mail'", "no column 'phone'"),
        ("row 3f9a1c22b07e missing", "row 001c22b07e11 missing"),
        ("can't read /var/data/a.csv", "can't read /srv/b/c.csv"),
        ("GET https://a.example/1 failed", "GET http://b.example/?q=2 failed"),
        ("lost <Conn at 0x7f3a>", "lost <Conn at 0x11>"),
        ("mail to a@example.com bounced", "mail to bob@example.org bounced"),
        ("took 1.5 s", "took 20.25 s"),
        ("first line\nwith 1", "first line\nand quite another"),
        ("id 6ba7b810-9dad-11d1-80b4-00c04fd430c8", "id 6ba7b811-9dad-11d1-80b4-00c04fd430c8"),
    ],
)
def test_data_makes_no_difference(first: str, second: str) -> None:
    assert _mark(first) == _mark(second)


@pytest.mark.parametrize(
    "other",
    [
        _mark("another"),
        _mark(kind="KeyError"),
        _mark(reason="crashed_worker"),
        fingerprint("import", ErrorInfo("ValueError", "no", reason="max_attempts")),
        _mark(trace=TRACE.format(line=1, name="connect")),
        fingerprint("mail", None),
    ],
)
def test_type_error_reason_message_and_place_do(other: str) -> None:
    assert other != _mark()


def test_lines_move_and_functions_count() -> None:
    first, moved = (_mark(trace=TRACE.format(line=line, name="connect")) for line in (10, 20))

    assert first == moved
    assert first != _mark(trace=TRACE.format(line=10, name="login"))


def test_it_is_the_same_in_every_process_and_release() -> None:
    assert _mark("user 17 is gone") == "226cfd68ac23"


def test_a_shape_is_one_short_line() -> None:
    assert shape("  a   b\nc") == "a b"
    assert len(shape("x " * 100_000)) <= 500
