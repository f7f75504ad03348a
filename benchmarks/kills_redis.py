"""Kill workers and the server under load on Redis, and have what is left judged by a checker.

`python benchmarks/kills_redis.py --minutes 30` is the long form; without it the numbers of deeds say how
long. It ends with 1 when a law was broken, and then keeps the folder with all that was written down.
"""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from chaos.nemesis import Trouble
from chaos.redis_eyes import RedisEyes
from chaos.script import Options, Script, parser
from chaos.siege import check_sound, engine_of, lay_siege
from harness.figures import machine

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
    """Do all deeds; whether all was quiet in the end."""
    with Server(binary(options), folder / "server", *_SERVER) as server:
        url = f"{server.url}?{_OPTIONS}"
        eyes = RedisEyes(server.port, _PREFIX)
        async with engine_of(folder, url) as first, engine_of(folder, url) as second:
            is_quiet = await lay_siege(folder, url, options, eyes, [first, second], troubles(server))
            await eyes.dump(first, folder)
            await check_sound(first)
    return is_quiet


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
