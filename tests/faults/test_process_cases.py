"""Plain functions in processes of their own: what they return, what they raise."""

import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from aiojobs_engine import Engine, Status
from aiojobs_engine.core.errors import JobDiscardedError, JobFailedError, PayloadError
from tests.faults import case_app

BOUND = 20.0


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(f"sqlite:///{tmp_path / 'jobs.db'}", registry=case_app.engine.registry)
    async with engine.running():
        yield engine


async def test_what_a_process_returns_comes_back_in_its_own_type(engine: Engine) -> None:
    handle = await engine.dispatch(case_app.tomorrow, date(2026, 12, 31))

    assert await handle.result(timeout=BOUND) == date(2027, 1, 1)


@pytest.mark.case("W17")
@pytest.mark.parametrize(
    "what, message",
    [
        ("object", "object is no JSON data"),
        ("tuple", "would come back changed"),
        ("large", "takes 1,000,002 bytes, the limit is 262,144"),
    ],
)
async def test_a_result_of_a_process_that_can_not_be_kept_completes_the_job_and_says_why(
    engine: Engine, what: str, message: str
) -> None:
    handle = await engine.dispatch(case_app.returns, what)
    with pytest.raises(PayloadError, match=message):
        await handle.result(timeout=BOUND)
    status = await handle.status()

    assert (status.status, status.attempts, status.result) == (Status.COMPLETED, 1, None)
    assert status.error is not None
    assert status.error.type == "result_error"


@pytest.mark.case("W15")
@pytest.mark.parametrize(
    "what, message",
    [("locked", "Locked: a lock inside"), ("value", "ValueError: no"), ("exit", "SystemExit: 3")],
)
async def test_what_a_process_raises_fails_the_attempt_with_its_text(
    engine: Engine, what: str, message: str
) -> None:
    handle = await engine.dispatch(case_app.raises, what)
    with pytest.raises(JobFailedError, match=message):
        await handle.result(timeout=BOUND)

    assert (await handle.status()).crashes == 0


async def test_a_signal_reaches_the_engine_from_a_process(engine: Engine) -> None:
    handle = await engine.dispatch(case_app.raises, "discard")
    with pytest.raises(JobDiscardedError, match="enough"):
        await handle.result(timeout=BOUND)


@pytest.mark.parametrize(
    "url, told",
    [
        (
            'sys.argv[1] if len(sys.argv) > 1 else "memory://"',
            "put its start under `if __name__ == '__main__':`",
        ),
        ("sys.argv[1]", "that raised IndexError: list index out of range; put what only the program"),
    ],
    ids=["its start", "its arguments"],
)
def test_a_script_that_its_processes_can_not_load_is_told_what_to_do(
    tmp_path: Path, url: str, told: str
) -> None:
    text = Path(__file__).with_name("unguarded_program.py").read_text()
    program = tmp_path / "program.py"
    program.write_text(text.replace('"URL"', url))
    ran = subprocess.run(
        [sys.executable, str(program), f"sqlite:///{tmp_path}/jobs.db"],
        capture_output=True,
        text=True,
        timeout=BOUND * 2,
        check=False,
    )

    assert told in ran.stdout, ran.stderr
    assert len(ran.stdout.splitlines()) == 1
    assert "value" not in ran.stdout
