from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiojobs_engine.core.envelope import Envelope, decode_envelope, encode_envelope, is_same_job
from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.retry import RetrySpec

texts = st.text(st.characters(codec="utf-8"), max_size=20)
json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
envelopes = st.builds(
    Envelope,
    id=texts,
    type=texts,
    payload=json_data.map(lambda data: msgspec.Raw(msgspec.json.encode(data))),
    created_at=st.integers(0, 2**53).map(Instant),
    priority=st.integers(-(2**31), 2**31),
    scheduled_at=st.none() | st.integers(0, 2**53).map(Instant),
    user_id=st.none() | st.integers(-(2**53), 2**53) | texts,
    retry=st.none() | st.builds(RetrySpec),
    timeout=st.none() | st.floats(0, 10**6),
    tags=st.lists(texts, max_size=3).map(tuple),
    meta=st.dictionaries(texts, json_data, max_size=3),
    headers=st.dictionaries(texts, texts, max_size=3),
)


def _envelope(**fields: Any) -> Envelope:
    given: dict[str, Any] = {"id": "a", "type": "t", "payload": msgspec.Raw(b"{}"), "created_at": Instant(1)}
    return Envelope(**{**given, **fields})


@given(envelopes)
def test_an_envelope_survives_its_encoding(envelope: Envelope) -> None:
    assert decode_envelope(encode_envelope(envelope)) == envelope


@pytest.mark.parametrize(
    "payload", [b'{"a":1.50}', b'{"b":1,"a":2}', b'{"a":1e2,"n":123456789012345678901234}']
)
def test_the_payload_stays_as_it_was_written(payload: bytes) -> None:
    envelope = _envelope(payload=msgspec.Raw(payload))

    assert bytes(decode_envelope(encode_envelope(envelope)).payload) == payload


def test_what_has_its_default_takes_no_room() -> None:
    assert encode_envelope(_envelope()) == b'{"id":"a","type":"t","payload":{},"created_at":1}'


def test_fields_of_a_later_release_are_passed_over() -> None:
    body = b'{"id":"a","type":"t","payload":{},"created_at":1,"v":9,"colour":"red"}'

    assert decode_envelope(body) == _envelope(v=9)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"id":1}', b"\xff\xfe", b"[" * 100_000], ids=lambda b: b[:9]
)
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        decode_envelope(body)


@pytest.mark.parametrize("meta", [{"a": object()}, {"a": {b"b": 1}, "c": 1j}], ids=["object", "bytes"])
def test_what_is_no_json_is_refused(meta: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        encode_envelope(_envelope(meta=meta))


@pytest.mark.parametrize(
    "field", [{"priority": 9}, {"meta": {"a": 1}}, {"created_at": Instant(2)}, {"v": 2}], ids=str
)
def test_a_dispatch_that_differs_beside_the_point_is_the_same_job(field: dict[str, Any]) -> None:
    assert is_same_job(_envelope(), _envelope(**field))


@pytest.mark.parametrize(
    "field",
    [{"type": "u"}, {"queue": "q"}, {"payload": msgspec.Raw(b"[]")}],
    ids=["type", "queue", "payload"],
)
def test_another_type_queue_or_payload_is_another_job(field: dict[str, Any]) -> None:
    assert not is_same_job(_envelope(), _envelope(**field))
