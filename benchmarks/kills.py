"""Kill workers under load on SQLite, and have what is left judged by a checker apart from the engine.

`python benchmarks/kills.py --kills 200 --stops 50 --lease 2` takes about seven minutes. It ends with 1 when a
law was broken, and then keeps the folder with all that was written down.
"""

from pathlib import Path

from chaos.eyes import SqliteEyes
from chaos.journal import DATABASE
from chaos.script import Options, Script, parser
from chaos.siege import check_sound, engine_of, lay_siege
from harness.figures import machine


async def carry_out(folder: Path, options: Options) -> bool:
    """Do all deeds; whether all was quiet in the end."""
    url = f"sqlite:///{folder / DATABASE}"
    eyes = SqliteEyes(folder)
    async with engine_of(folder, url) as engine:
        is_quiet = await lay_siege(folder, url, options, eyes, [engine])
        await check_sound(engine)
    return is_quiet


SCRIPT = Script(carry_out=carry_out, setting=lambda _: machine(), share=1.0)

if __name__ == "__main__":
    SCRIPT.main(parser(__doc__, kills=200, stops=50, drains=10))
