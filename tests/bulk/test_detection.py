"""What is found on the beginning of a file, and what is refused there."""

import pytest

from aiojobs_engine.bulk.sources.detection import HEAD_BYTES, detect
from aiojobs_engine.core.errors import SourceError


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
    form, found = detect(head)
    assert (form.delimiter, found) == (delimiter, header)


def test_rows_begin_after_the_header() -> None:
    form, _ = detect(b'\xef\xbb\xbf\r\n"a\nb",c\r\n1,2\r\n')
    assert (form.start, form.body) == (3, 14)


def test_what_is_declared_wins() -> None:
    assert detect(b"a,b;c\n1,2;3\n", ";")[1] == ["a,b", "c"]


@pytest.mark.parametrize(
    "head, message",
    [
        (b"", "empty"),
        (b" \r\n\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b",,\n1,2,3\n", "no header"),
        (b"a,b,a\n", "names 'a' twice"),
        (b"a,b\r1,2\r", "CR alone"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "UTF-16 or no text"),
        ("näme,b\n1,2\n".encode("cp1252"), "no UTF-8"),
        ("a,b\n1,ü\n2,ö\n3,ä\n".encode("cp1252"), "no UTF-8"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\x03\x04....", "XLSX"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PAR1", "Parquet"),
        (b",".join(b"c%d" % number for number in range(1001)) + b"\n", "1,001 columns"),
        (b"a" * HEAD_BYTES, "no header ends within"),
        (b'"' + b"a\n" * 2000, "no header ends within"),
    ],
)
def test_what_can_not_be_imported_is_refused(head: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        detect(head)


def test_a_broken_row_or_two_are_no_other_encoding() -> None:
    rows = b"".join(b"%d,x\n" % number for number in range(100))
    assert detect(b"a,b\n" + rows + b"7,\xff\n" * 4)[1] == ["a", "b"]
    assert detect(b"a,b\n1,\xff\n2,\xff\n")[1] == ["a", "b"]
    assert detect("a,b\n1,é\n".encode() + b"2,\xe9\n3,\xe9\n")[1] == ["a", "b"]
