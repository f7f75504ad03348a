"""What can't be a handler is refused where it is registered."""

from typing import Any, Literal, cast

import pytest

from aiojobs_engine import ConfigError, Engine, JobContext, JobRegistry


async def unannotated(ctx, number: int) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


async def misplaced(number: int, ctx: JobContext) -> None: ...


async def of_an_object(self, number: int) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


@pytest.mark.parametrize(
    "handler, hint",
    [
        (unannotated, "write ctx: JobContext"),
        (misplaced, "make it the first parameter"),
        (of_an_object, "no object to call a method of"),
    ],
)
def test_a_handler_whose_first_parameter_is_doubtful_is_refused(handler: Any, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        JobRegistry().job()(handler)


def test_a_decorator_without_parentheses_says_how_it_is_written() -> None:
    with pytest.raises(ConfigError, match=r"@engine\.job\(\)"):
        cast("Any", JobRegistry().job)(misplaced)


def test_an_id_belongs_to_a_call_and_not_to_a_type() -> None:
    with pytest.raises(ConfigError, match="has no option 'id'"):
        cast("Any", JobRegistry().job)(id="always the same")(unannotated)


def plain() -> int:
    return 1


async def in_loop() -> int:
    return 1


@pytest.mark.parametrize("place", ["thread", "process"])
async def test_the_configuration_says_where_a_plain_function_runs(
    place: Literal["thread", "process"],
) -> None:
    engine = Engine("memory://", config={"jobs": {"plain": {"run_in": place}}})
    job_type = engine.job(name="plain")(plain)

    async with engine:
        engine.worker()

    assert job_type.run_in == place


async def test_the_configuration_can_not_move_an_async_function_out_of_the_loop() -> None:
    engine = Engine("memory://", config={"jobs": {"in_loop": {"run_in": "thread"}}})
    engine.job(name="in_loop")(in_loop)

    async with engine:
        with pytest.raises(ConfigError, match="is an async function"):
            engine.worker()
