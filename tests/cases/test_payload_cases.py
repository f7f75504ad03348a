"""J3 to J7: what a payload may hold, and what becomes of the rest."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiojobs_engine.core.errors import ConfigError, PayloadError, PayloadTooLarge
from aiojobs_engine.core.retry import Retry
from aiojobs_engine.core.state import Status
from aiojobs_engine.engine import Engine
from tests.cases.conftest import MakeEngine
from tests.cases.invariants import every_job
from tests.cases.stores import store_of, work_off


@pytest.mark.case("J3")
async def test_a_payload_over_the_limit_is_refused_before_any_write(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(text: str) -> None: ...

    async with engine:
        with pytest.raises(PayloadTooLarge, match=r"10,000,011 bytes.*262,144.*pass a reference"):
            await engine.dispatch(takes, text="x" * 10_000_000)
        with pytest.raises(PayloadTooLarge, match=r"262,144"):
            await engine.dispatch("app.elsewhere", queue="default", text="x" * 10_000_000)
        with pytest.raises(PayloadTooLarge, match=r"meta"):
            await engine.dispatch(takes.options(meta={"text": "x" * 10_000_000}), text="")
        assert await every_job(store_of(engine)) == []


@pytest.mark.case("J3")
async def test_with_a_raised_limit_a_large_payload_arrives_whole(make_engine: MakeEngine) -> None:
    engine = make_engine(limits={"payload_bytes": 20_000_000, "result_bytes": 20_000_000})
    text = "x" * 10_000_000

    @engine.job()
    async def echoes(text: str) -> str:
        return text

    async with engine:
        handle = await engine.dispatch(echoes, text=text)
        await work_off(engine)
        assert await handle.result(timeout=0) == text


def nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels - 1):
        found = [found]
    return found


@pytest.mark.case("J4")
@pytest.mark.parametrize("levels", [64, 1_001, 100_000])
async def test_arguments_that_nest_too_deep_are_refused(make_engine: MakeEngine, levels: int) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(value: Any) -> None: ...

    async with engine:
        with pytest.raises(PayloadError, match="argument 'value': nested deeper than 64 levels"):
            await engine.dispatch(takes, value=nested(levels))
        with pytest.raises(PayloadError, match="argument 'value': nested deeper than 64 levels"):
            await engine.dispatch("app.elsewhere", queue="default", value=nested(levels))
        with pytest.raises(PayloadError, match="meta: nested deeper than 64 levels"):
            await engine.dispatch(takes.options(meta={"value": nested(levels)}), value=1)
        text = b'{"value":' + b"[" * levels + b"]" * levels + b"}"
        with pytest.raises(PayloadError, match="64 levels"):
            takes.job_from_json(text)
        assert await every_job(store_of(engine)) == []


@pytest.mark.case("J4")
async def test_arguments_of_64_levels_with_the_object_around_them_arrive(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def echoes(value: Any) -> Any:
        return value

    async with engine:
        handle = await engine.dispatch(echoes, value=nested(63))
        await work_off(engine)
        assert await handle.result(timeout=0) == nested(63)


REFUSED_VALUES: dict[str, Any] = {
    "nan": math.nan,
    "infinity": math.inf,
    "inside": {"ratio": [1.0, -math.inf]},
    "5,000 digits": 10**5_000,
    "keys that are numbers": {1: "a"},
    "keys that collide": {1: "a", "1": "b"},
    "tuple": (1, 2),
    "bytes": b"raw",
    "set": {1},
    "lone surrogate": "\ud800",
    "lone surrogate as a key": {"\udfff": 1},
    "function": print,
    "generator": (number for number in (1, 2)),
}


@pytest.mark.case("J5", "J6")
@pytest.mark.parametrize("value", REFUSED_VALUES.values(), ids=REFUSED_VALUES.keys())
async def test_what_would_not_arrive_as_it_was_sent_is_refused(
    make_engine: MakeEngine, value: object
) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(value: Any) -> None: ...

    async with engine:
        for what in (takes, "app.elsewhere"):
            named = {} if what is takes else {"queue": "default"}
            with pytest.raises(PayloadError, match="value") as caught:
                await engine.dispatch(what, value=value, **named)
            assert caught.value.argument == "value"
        with pytest.raises(PayloadError):
            await engine.dispatch(takes.options(meta={"value": value}), value=1)
        assert await every_job(store_of(engine)) == []


REFUSED_JSON: dict[str, bytes] = {
    "nan": b'{"value":NaN}',
    "infinity": b'{"value":Infinity}',
    "1e999": b'{"value":1e999}',
    "5,000 digits": b'{"value":' + b"9" * 5_000 + b"}",
    "lone surrogate": b'{"value":"\\ud800"}',
    "not UTF-8": b'{"value":"\xff"}',
    "a list": b"[1]",
    "nothing": b"",
    "half": b'{"value":',
    "two": b'{"value":1}{"value":2}',
}


@pytest.mark.case("J5", "J6")
@pytest.mark.parametrize("text", REFUSED_JSON.values(), ids=REFUSED_JSON.keys())
async def test_json_that_no_value_stands_for_is_refused(make_engine: MakeEngine, text: bytes) -> None:
    engine = make_engine()

    @engine.job()
    async def takes(value: Any) -> None: ...

    async with engine:
        with pytest.raises(PayloadError):
            await engine.dispatch(takes.job_from_json(text))
        elsewhere = engine.named("app.elsewhere").options(queue="default")
        with pytest.raises(PayloadError):
            await engine.dispatch(elsewhere.job_from_json(text))
        assert await every_job(store_of(engine)) == []


@pytest.mark.case("J5")
async def test_of_a_key_that_json_text_holds_twice_the_last_one_counts(make_engine: MakeEngine) -> None:
    engine = make_engine()

    @engine.job()
    async def echoes(value: int) -> int:
        return value

    async with engine:
        handle = await engine.dispatch(echoes.job_from_json(b'{"value":1,"value":2}'))
        await work_off(engine)
        assert await handle.result(timeout=0) == 2


@pytest.mark.case("J6")
async def test_lone_surrogates_in_names_are_refused_and_in_error_texts_escaped(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine()

    @engine.job(retry=Retry.none())
    async def broken() -> None:
        raise ValueError("before \ud800 after")

    async with engine:
        for option in ("id", "queue"):
            with pytest.raises(ConfigError, match="1 to 128 of A-Z"):
                await engine.dispatch(broken.options(**{option: "a\ud800"}).job())  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="1 to 128 of A-Z"):
            await engine.dispatch(broken.options(tags=["\ud800"]))
        handle = await engine.dispatch(broken)
        await work_off(engine)
        status = await handle.status()

    assert status.status is Status.FAILED
    assert status.error is not None
    assert status.error.message == "before \\ud800 after"
    assert "\\ud800" in status.error.traceback


ODD_NAMES = ["", "a b", "x" * 129, "x" * 10_000, "a\0", "a\nb", "a\r\nb", "\x1b[31mred", "\u202eabc", "naïve"]


@pytest.mark.case("J7")
@pytest.mark.parametrize("name", ODD_NAMES, ids=[ascii(name)[:12] for name in ODD_NAMES])
async def test_names_are_1_to_128_plain_characters(make_engine: MakeEngine, name: str) -> None:
    engine = make_engine()

    @engine.job()
    async def any_job() -> None: ...

    attempts: list[Callable[[], Any]] = [
        lambda: any_job.options(id=name),
        lambda: any_job.options(queue=name),
        lambda: any_job.options(tags=[name]),
        lambda: engine.job(name=name or "\n"),
        lambda: engine.job(queue=name),
        lambda: engine.named(name),
        lambda: engine.handle(name),
        lambda: Engine("memory://", config={"worker": {"queues": [name]}}),
    ]
    async with engine:
        for attempt in attempts[:3] + attempts[5:]:
            with pytest.raises(ConfigError):
                attempt()
        for decorate in attempts[3:5]:
            with pytest.raises(ConfigError):
                decorate()(_plain)
        with pytest.raises(ConfigError):
            await engine.queues.pause(name)
        with pytest.raises(ConfigError):
            await engine.dispatch("app.elsewhere", queue=name)
        assert await every_job(store_of(engine)) == []


async def _plain() -> None: ...


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.case("J5", "J6")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(JSON, min_size=5, max_size=5))
async def test_plain_json_arrives_and_comes_back_as_it_was(
    make_engine: MakeEngine, values: list[Any]
) -> None:
    engine = make_engine()

    @engine.job()
    async def echoes(value: Any) -> Any:
        return value

    async with engine:
        handles = [
            await engine.dispatch(echoes.options(meta={"value": value}), value=value) for value in values
        ]
        await work_off(engine)
        results = [await handle.result(timeout=0) for handle in handles]
        found = [await handle.status() for handle in handles]

    assert results == values
    assert [job.result for job in found] == values
    assert [job.meta["value"] for job in found] == values
