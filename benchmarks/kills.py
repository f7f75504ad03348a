"""Kill workers under load on SQLite, and have what is left judged by a checker apart from the engine.

`python benchmarks/kills.py --kills 200 --stops 50 --lease 2` takes about seven minutes. It ends with 1 when a
law was broken, and then keeps the folder with all that was written down.
"""

from functools import partial
from pathlib import Path
from random import Random

import anyio
from chaos.app import registry
from chaos.eyes import SqliteEyes
from chaos.journal import DATABASE
from chaos.nemesis import Nemesis, plan
from chaos.producer import Producer
from chaos.script import QUIET_SECONDS, Options, Script, check_sound, parser, worker
from harness.figures import machine

from aiojobs_engine import Engine


async def carry_out(folder: Path, options: Options) -> bool:
    """Load, nemesis and reader at once; whether all was quiet in the end."""
    rng = Random(options.seed)
    (folder / "logs").mkdir()
    eyes = SqliteEyes(folder)
    url = f"sqlite:///{folder / DATABASE}"
    engine = Engine(url, registry=registry, config={"storage": {"path": str(folder / "files")}})
    async with engine:
        nemesis = Nemesis(
            folder,
            rng,
            partial(worker, folder, url, options),
            eyes,
            count=options.workers,
            lease=options.lease,
        )
        producer = Producer(folder, Random(options.seed + 1), engine, eyes)
        try:
            async with anyio.create_task_group() as load:
                load.start_soon(producer.dispatch)
                load.start_soon(producer.import_rows)
                load.start_soon(producer.read)
                deeds = plan(rng, kills=options.kills, stops=options.stops, drains=options.drains)
                await nemesis.run(deeds, options.every)
                producer.is_stopping = True
                is_quiet = await producer.until_quiet(QUIET_SECONDS + 2 * options.lease)
                load.cancel_scope.cancel()
            nemesis.end()
            await check_sound(engine)
        finally:
            nemesis.close()
            producer.close()
    return is_quiet


SCRIPT = Script(carry_out=carry_out, setting=lambda _: machine(), share=1.0)

if __name__ == "__main__":
    SCRIPT.main(parser(__doc__, kills=200, stops=50, drains=10))
