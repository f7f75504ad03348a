"""What is found on the beginning of delimited text, and what is refused there."""

from collections.abc import Sequence

import pytest

from aiojobs_engine.bulk.intake import bounds_of
from aiojobs_engine.bulk.sources.delimited import Delimited
from aiojobs_engine.bulk.sources.detection import HEAD_BYTES, detect
from aiojobs_engine.bulk.sources.encoding import encoding_of
from aiojobs_engine.core.config import LimitSettings
from aiojobs_engine.core.errors import SourceError

BOUNDS = bounds_of(LimitSettings())


def any_columns(columns: Sequence[str]) -> None:
    assert columns


def detected(head: bytes, delimiter: str | None = None) -> tuple[Delimited, list[str]]:
    form, columns = detect(head, BOUNDS, any_columns, delimiter=delimiter)
    return form, list(columns)


@pytest.mark.parametrize(
    "head, delimiter, header",
    [
        (b"a,b\n1,2\n", ",", ["a", "b"]),
        (b"a;b;c\n1,5;2;3\n", ";", ["a", "b", "c"]),
        (b"a\tb, c\n1\t2\n", "\t", ["a", "b, c"]),
        (b"a|b\n", "|", ["a", "b"]),
        (b"only\n1\n", ",", ["only"]),
        (b'"a;b",c\n"1;2",3\n', ",", ["a;b", "c"]),
        ("näme,größe\n".encode(), ",", ["näme", "größe"]),
        (b" a , b \n", ",", ["a", "b"]),
        (b"a,,c,\n", ",", ["a", "column 2", "c", "column 4"]),
        (b'"a\nb",c\n1,2\n', ",", ["a\nb", "c"]),
        (b"a,b", ",", ["a", "b"]),
    ],
)
def test_delimiter_and_header_are_found(head: bytes, delimiter: str, header: list[str]) -> None:
    form, found = detected(head)
    assert (form.delimiter, found) == (delimiter, header)


def test_rows_begin_after_the_header() -> None:
    form, _ = detected(b'\xef\xbb\xbf\r\n"a\nb",c\r\n1,2\r\n')
    assert (form.start, form.body) == (5, 14)


def test_what_is_declared_wins() -> None:
    assert detected(b"a,b;c\n1,2;3\n", ";")[1] == ["a,b", "c"]
    form, columns = detect(b"1,2\n3,4\n", BOUNDS, any_columns, columns=("a", "b"))
    assert (form.columns, list(columns), form.start, form.body) == (("a", "b"), ["a", "b"], 0, 0)


def with_email(columns: Sequence[str]) -> None:
    if "email" not in columns:
        raise SourceError(f"no email in {columns}", argument="source")


def test_the_header_is_the_first_line_that_fits() -> None:
    head = b"Users of 2026\r\n\r\nexported by;Ada\r\nemail;age\r\na@b;1\r\nc@d;2\r\n"
    form, columns = detect(head, BOUNDS, with_email)
    assert (form.delimiter, list(columns)) == (";", ["email", "age"])
    assert head[form.start : form.body] == b"email;age\r\n"
    with pytest.raises(SourceError, match=r"no email in .'mail', 'age'"):
        detect(b"mail,age\n1,2\n3,4\n", BOUNDS, with_email)


@pytest.mark.parametrize(
    "head, message",
    [
        (b"", "empty"),
        (b" \r\n\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b",,\n", "no header"),
        (b"a,b,a\n", "names 'a' twice"),
        (b"a,b\r1,2\r", "CR alone"),
        ("näme,b\n1,2\n".encode("cp1252"), "the header is no UTF-8"),
        (b",".join(b"c%d" % number for number in range(1001)) + b"\n", "1,001 columns"),
        (b"a" * HEAD_BYTES, "no header ends within"),
        (b'"' + b"a\n" * 2000, "no header ends within"),
    ],
)
def test_what_can_not_be_imported_is_refused(head: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        detected(head)


@pytest.mark.parametrize(
    "head, encoding",
    [
        (b"a,b\n", "utf-8"),
        (b"\xef\xbb\xbfa,b\n", "utf-8"),
        ("näme,größe\n".encode(), "utf-8"),
        ("a,b\n1,2\n".encode("utf-16"), "utf-16"),
        ("\ufeffa,b\n1,2\n".encode("utf-16-be"), "utf-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "utf-16-le"),
        ("a,b\n1,2\n".encode("utf-16-be"), "utf-16-be"),
        ("a,b\n1,2\n".encode("utf-32"), "utf-32"),
        ("näme,b\n1,2\n".encode("cp1252"), "cp1252"),
        ("a,b\n1,ü\n2,ö\n3,ä\n".encode("cp1252"), "cp1252"),
    ],
)
def test_encodings_are_found(head: bytes, encoding: str) -> None:
    assert encoding_of(head) == encoding


def test_a_broken_row_or_two_are_no_other_encoding() -> None:
    rows = b"".join(b"%d,x\n" % number for number in range(100))
    assert encoding_of(b"a,b\n" + rows + b"7,\xff\n" * 4) == "utf-8"
    assert encoding_of(b"a,b\n3,4\n5,6\n1,\xff\n2,\xff\n") == "utf-8"
    assert encoding_of("a,b\n1,é\n".encode() + b"2,\xe9\n3,\xe9\n") == "utf-8"


def test_what_is_full_of_nuls_is_no_text() -> None:
    with pytest.raises(SourceError, match="full of NUL"):
        encoding_of(b"\0" * 100)
