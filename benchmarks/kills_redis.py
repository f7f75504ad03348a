"""Kill workers and the server under load on Redis, and have what is left judged by a checker.

`python benchmarks/kills_redis.py --minutes 30` is the long form; without it the numbers of deeds say how
long. It ends with 1 when a law was broken, and then keeps the folder with all that was written down.
"""

import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).parents[1]))

import anyio
from chaos.app import registry
from chaos.nemesis import Nemesis, Trouble, plan
from chaos.producer import Producer
from chaos.redis_eyes import RedisEyes
from chaos.script import QUIET_SECONDS, Options, Script, check_sound, parser, worker
from harness.figures import machine

from aiojobs_engine import Engine
from tests.servers.server import Server, redis_on_path, valkey, version

_PREFIX = "kills"
_OPTIONS = f"prefix={_PREFIX}&max_events=100000000&timeout=2"
_SERVER = ("--appendonly", "yes", "--appendfsync", "always")


def binary(options: Options) -> Path:
    """The server."""
    return valkey() if options.valkey else redis_on_path() or valkey()


def troubles(server: Server) -> Trouble:
    """What can be done to the server."""

    def frozen(seconds: float) -> None:
        server.freeze()
        time.sleep(seconds)
        server.thaw()

    def killed(_: float) -> None:
        server.kill()
        server.start()

    def paused(seconds: float) -> None:
        server.run("CLIENT", "PAUSE", round(seconds * 1000), "ALL")
        time.sleep(seconds)

    return Trouble(
        {
            "server restarted": lambda _: server.restart(),
            "server killed": killed,
            "server frozen": frozen,
            "clients paused": paused,
            "connections killed": lambda _: server.run("CLIENT", "KILL", "TYPE", "normal"),
            "scripts flushed": lambda _: server.run("SCRIPT", "FLUSH"),
        }
    )


async def carry_out(folder: Path, options: Options) -> bool:
    """Load, nemesis and reader at once; whether all was quiet in the end."""
    rng = Random(options.seed)
    (folder / "logs").mkdir()
    with Server(binary(options), folder / "server", *_SERVER) as server:
        url = f"{server.url}?{_OPTIONS}"
        eyes = RedisEyes(server.port, _PREFIX)
        trouble = troubles(server)
        names = sorted(trouble.deeds)
        others = [names[number % len(names)] for number in range(options.troubles)]
        async with AsyncExitStack() as stack:
            engines = [await stack.enter_async_context(_engine(folder, url)) for _ in range(2)]
            nemesis = Nemesis(
                folder,
                rng,
                partial(worker, folder, url, options),
                eyes,
                count=options.workers,
                lease=options.lease,
                server=trouble,
            )
            producers = [
                Producer(folder, Random(options.seed + number), engine, eyes)
                for number, engine in enumerate(engines, 1)
            ]
            try:
                async with anyio.create_task_group() as load:
                    for producer in producers:
                        load.start_soon(producer.dispatch)
                        load.start_soon(producer.import_rows)
                        load.start_soon(producer.read)
                    deeds = plan(
                        rng, kills=options.kills, stops=options.stops, drains=options.drains, others=others
                    )
                    await nemesis.run(deeds, options.every)
                    for producer in producers:
                        producer.is_stopping = True
                    is_quiet = await producers[0].until_quiet(QUIET_SECONDS + 2 * options.lease)
                    load.cancel_scope.cancel()
                nemesis.end()
                await eyes.dump(engines[0], folder)
                await check_sound(engines[0])
            finally:
                nemesis.close()
                for producer in producers:
                    producer.close()
    return is_quiet


def _engine(folder: Path, url: str) -> Engine:
    return Engine(url, registry=registry, config={"storage": {"path": str(folder / "files")}})


SCRIPT = Script(
    carry_out=carry_out,
    setting=lambda options: {**machine(), "server": version(binary(options))},
    share=0.99,
)


def main() -> None:
    """The options of all scripts, and those of the server."""
    made = parser(__doc__, kills=60, stops=15, drains=5)
    made.add_argument("--troubles", type=int, default=40, help="deeds to the server, of six kinds in turn")
    made.add_argument("--valkey", action="store_true", help="Valkey, also where there is a Redis")
    SCRIPT.main(made)


if __name__ == "__main__":
    main()
