"""The rivals: what is installed for each, how its worker starts, and what is to be known of that."""

from dataclasses import dataclass, field

OURS = "aiojobs_engine"
BARE = "bare loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One rival.

    Attributes:
        app: the module of `peers.apps` that sends its jobs.
        packages: what pip installs; empty runs in the engine's own environment.
        worker: the command of its worker, where `{bin}` is its environment's folder of programs, `{slots}` is
            how many jobs at once, `{url}` the server.
        settings: what the documentation leads to, in words.
        serial: it can't run 200 jobs at once, so it naps no 2,000 times.
        store: `redis` or `postgres`.
    """

    name: str
    app: str
    worker: str
    settings: str
    packages: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    serial: bool = False
    store: str = "redis"


PEERS = (
    Peer(
        name=OURS,
        app="ours",
        worker="{bin}/python -m aiojobs_engine worker peers.apps.ours:engine -c {slots}",
        settings="default settings",
    ),
    Peer(
        name=BARE,
        app="bare_loop",
        worker="{bin}/python -m peers.sending bare_loop work",
        settings="two slices of 100",
    ),
    Peer(
        name="arq",
        app="arq_app",
        packages=("arq", "hiredis"),
        worker="{bin}/arq peers.apps.arq_app.WorkerSettings",
        settings="max_jobs {slots}, no line per job",
    ),
    Peer(
        name="SAQ",
        app="saq_app",
        packages=("saq[redis,hiredis]", "typing_extensions"),
        worker="{bin}/saq peers.apps.saq_app.settings",
        settings="concurrency {slots}",
    ),
    Peer(
        name="taskiq, list",
        app="taskiq_app",
        packages=("taskiq", "taskiq-redis", "hiredis", "uvloop"),
        worker="{bin}/taskiq worker peers.apps.taskiq_app:broker --workers 1 --max-async-tasks {slots}",
        settings="no result backend, socket_timeout None, uvloop; it acknowledges nothing",
    ),
    Peer(
        name="taskiq, stream",
        app="taskiq_app",
        packages=("taskiq", "taskiq-redis", "hiredis", "uvloop"),
        worker="{bin}/taskiq worker peers.apps.taskiq_app:broker --workers 1 --max-async-tasks {slots}",
        settings="no result backend, uvloop",
        environment={"TASKIQ_BROKER": "stream"},
    ),
    Peer(
        name="streaq",
        app="streaq_app",
        packages=("streaq",),
        worker="{bin}/streaq run peers.apps.streaq_app:worker",
        settings="concurrency {slots}, silent tasks",
    ),
    Peer(
        name="dramatiq",
        app="dramatiq_app",
        packages=("dramatiq[redis]", "hiredis"),
        worker="{bin}/dramatiq peers.apps.dramatiq_app -p 1 -t {slots}",
        settings="one process, {slots} threads",
    ),
    Peer(
        name="Celery",
        app="celery_app",
        packages=("celery[redis]", "hiredis"),
        worker="{bin}/celery -A peers.apps.celery_app worker -P threads -c {slots} -l WARNING",
        settings="{slots} threads, results ignored",
    ),
    Peer(
        name="huey",
        app="huey_app",
        packages=("huey", "redis", "hiredis"),
        worker="{bin}/huey_consumer peers.apps.huey_app.huey -k thread -w {huey} -q",
        settings="{huey} threads",
    ),
    Peer(
        name="RQ",
        app="rq_app",
        packages=("rq", "hiredis"),
        worker="{bin}/rq worker -w rq.worker.SimpleWorker --url {url} -q",
        settings="SimpleWorker, one job at a time",
        serial=True,
    ),
    Peer(
        name="BullMQ, Python",
        app="bullmq_app",
        packages=("bullmq", "hiredis"),
        worker="{bin}/python -m peers.sending bullmq_app work",
        settings="concurrency {slots}",
    ),
    Peer(
        name="BullMQ, Node",
        app="bullmq_node.mjs",
        packages=("npm:bullmq", "npm:ioredis"),
        worker="node peers/apps/bullmq_node.mjs work",
        settings="concurrency {slots}",
    ),
    Peer(
        name="tinyjobs",
        app="tinyjobs_app",
        packages=("tinyjobs[redis]", "hiredis"),
        worker="{bin}/tinyjobs worker --app peers.apps.tinyjobs_app:app --concurrency {slots}"
        " --async-concurrency {slots} --log-level WARNING",
        settings="concurrency {slots}",
    ),
    Peer(
        name="potatoq",
        app="potatoq_app",
        packages=("potatoq", "redis", "hiredis"),
        worker="{bin}/potatoq -A peers.apps.potatoq_app worker -c 1 -t {slots} -l WARNING",
        settings="one process, {slots} threads",
    ),
    Peer(
        name="docket",
        app="docket_app",
        packages=("pydocket", "hiredis"),
        worker="{bin}/docket worker --tasks peers.apps.docket_app:tasks --docket peers --concurrency {slots}"
        " --logging-level WARNING --url {url}?max_connections=400",
        settings="concurrency {slots}, max_connections 400",
    ),
    Peer(
        name="pgqueuer",
        app="pgqueuer_app",
        packages=("pgqueuer", "asyncpg"),
        worker="{bin}/python -m peers.sending pgqueuer_app work",
        settings="PostgreSQL, batches of 50, max_concurrent_tasks {slots}",
        store="postgres",
    ),
)
