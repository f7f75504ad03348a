"""What `engine.diagnose()` says of what is set up around a store."""

import msgspec

from aiojobs_engine import Engine
from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.desks.diagnosis import Diagnosis
from aiojobs_engine.ports.control import TypeRecord, WorkerRecord
from aiojobs_engine.runtime.system_clock import SystemClock

CONFIG = {
    "queues": {"mial": {"max_pending": 5}},
    "worker": {"queues": ["mail", "defautl"]},
    "jobs": {"app.sned": {"priority": 1}},
    "kinds": {"improt": {"timeout": 5.0}},
}


def told(diagnosis: Diagnosis) -> list[str]:
    assert diagnosis.ok
    assert {finding.severity for finding in diagnosis.findings} <= {"warning", "note"}
    return [finding.what for finding in diagnosis.findings]


async def test_settings_for_what_is_not_there_are_told_with_the_nearest_that_is() -> None:
    engine = Engine("memory://", config=CONFIG)

    @engine.job(name="app.send", queue="mail")
    async def send() -> None: ...

    @engine.job(name="app.sum")
    async def add() -> None: ...

    async with engine:
        assert told(await engine.diagnose()) == [
            "[jobs.app.sned] is for no job type that is registered here; did you mean 'app.send'?",
            "[kinds.improt] is for no kind of jobs; did you mean 'import'?",
            "[queues.mial] is for no queue with jobs or job types; did you mean 'mail'?",
            "[worker] queues: defautl is for no queue with jobs or job types; did you mean 'default'?",
        ]


async def test_who_is_missing_is_told() -> None:
    engine, clock = Engine("memory://"), SystemClock()

    @engine.job(name="app.send", queue="mail")
    async def send() -> None: ...

    async with engine:
        worker = WorkerRecord(
            id="w1",
            host="here",
            pid=7,
            queues=("mali",),
            slots=1,
            running=0,
            started_at=clock.now(),
            beat_at=clock.now(),
        )
        silent = msgspec.structs.replace(worker, id="w2", beat_at=type(clock.now())(clock.now() - 50_000))
        await engine.store.beat(worker)
        await engine.store.beat(silent)
        record = TypeRecord(name="app.sent", kind="job", queue="mail", options={}, schema={})
        await engine.store.publish([record])
        await engine.dispatch(send)
        await engine.dispatch(engine.named("app.sents").options(queue="mail").job())

        assert told(await engine.diagnose()) == [
            "1 waiting jobs are of type 'app.sents', which no worker has published; did you mean 'app.sent'?",
            "no worker watches queue 'mail', where 2 jobs wait; did you mean 'mali'?",
            "worker w2 (process 7 on here) has stopped beating",
        ]


class Foreign:
    """A store of somebody's that can't be looked through."""

    def __init__(self) -> None:
        self._inner = MemoryBackend(clock=SystemClock())

    def __getattr__(self, name: str) -> object:
        if name == "examine":
            raise AttributeError(name)
        return getattr(self._inner, name)


async def test_a_store_that_can_not_be_looked_through_says_so() -> None:
    async with Engine(backend=Foreign()) as engine:  # type: ignore[arg-type]
        assert told(await engine.diagnose()) == ["this store can't be looked through"]
