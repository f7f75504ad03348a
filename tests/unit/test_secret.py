"""Secrets travel in arguments and results, and show nowhere."""

import inspect
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest

from aiojobs_engine import Secret
from aiojobs_engine.core.codec import ArgumentCodec, ResultCodec, handler_parameters
from aiojobs_engine.core.errors import PayloadError
from aiojobs_engine.core.masking import MASK, masker_of


class Login(msgspec.Struct):
    user: str
    password: Secret[str]


@dataclass
class Card:
    number: Secret[int]


async def charge(
    key: Secret[str], login: Login, cards: list[Card], bare: Secret[Any], old: pydantic.SecretStr
) -> None: ...


CODEC = ArgumentCodec(*handler_parameters(charge), "charge")
GIVEN = (
    Secret("hunter2"),
    Login("ann", Secret("hunter2")),
    [Card(Secret(4711))],
    Secret({"hunter2": [4711]}),
    pydantic.SecretStr("hunter2"),
)


def test_secrets_arrive_as_they_were_sent() -> None:
    arrived = CODEC.decode(CODEC.encode(GIVEN, {}))

    assert arrived == GIVEN
    assert (arrived[0].reveal(), arrived[2][0].number.reveal()) == ("hunter2", 4711)
    assert arrived[4].get_secret_value() == "hunter2"


def test_no_output_shows_what_a_payload_keeps_secret() -> None:
    shown = masker_of().encoded(CODEC.encode(GIVEN, {}))

    assert shown == {
        "key": MASK,
        "login": {"user": "ann", "password": MASK},
        "cards": [{"number": MASK}],
        "bare": MASK,
        "old": MASK,
    }
    assert not any(secret in f"{GIVEN} {GIVEN[0]} {GIVEN[3]}" for secret in ("hunter2", "4711"))


def test_results_and_callers_of_other_languages_may_hold_secrets_too() -> None:
    results = ResultCodec(Secret[str])

    assert results.decode(results.encode(Secret("hunter2"), 1000)) == Secret("hunter2")
    assert ArgumentCodec(*_of(Secret[str]), "f").decode(b'{"x":"hunter2"}') == (Secret("hunter2"),)


def test_a_secret_of_the_wrong_type_is_refused_without_being_told() -> None:
    with pytest.raises(PayloadError) as refused:
        ArgumentCodec(*_of(Secret[int]), "f").encode((Secret("hunter2"),), {})

    assert "hunter2" not in str(refused.value)


def test_a_secret_that_its_model_would_blot_out_is_refused() -> None:
    class Model(pydantic.BaseModel):
        pin: pydantic.SecretStr

    with pytest.raises(PayloadError, match="would arrive changed"):
        ArgumentCodec(*_of(Model), "f").encode((Model(pin=pydantic.SecretStr("hunter2")),), {})


def test_secrets_are_equal_by_value_and_can_be_keys() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert (str(Secret("a")), repr(Secret("a"))) == ("***", "Secret('***')")


def test_the_published_schema_says_that_a_secret_is_not_read_back() -> None:
    assert CODEC.schema()["$defs"]["charge"]["properties"]["key"] == {"writeOnly": True}


def _of(annotation: object) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    parameter = inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
    return [parameter], {"x": annotation}
