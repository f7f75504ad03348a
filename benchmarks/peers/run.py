"""The same work for every rival: `make bench-peers` installs them and runs this.

Drain of 30,000 empty jobs by one worker of 100 slots; dispatch one by one, and many; pickup of a job each 20
ms by an idle worker; 2,000 jobs of 50 ms in 200 slots. The numbers that the jobs carry are summed, so every
job that counts ran, once.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[1]
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent)]

from harness.figures import machine, share_below  # noqa: E402 - the path comes first
from harness.process import Process  # noqa: E402
from harness.tally import Board, prove  # noqa: E402

from peers import places, report, work  # noqa: E402
from peers.catalog import PEERS, Peer  # noqa: E402
from tests.servers.server import Server, redis_on_path, valkey, version  # noqa: E402

_WARM_UP = 20
_STALLED = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
_IDEAL = 0.05
_NOT_LOAD = ("only", "repeats", "write", "install")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much of each."""

    drained: int
    one_by_one: int
    picked_up: int
    naps: int


class Bench:
    """One rival on one server."""

    def __init__(self, peer: Peer, server: Server, postgres: str, load: Load) -> None:
        """Run nothing yet."""
        self._peer = peer
        self._server = server
        self._postgres = postgres
        self._load = load

    def measure(self) -> dict[str, Any]:
        """All scenarios once."""
        figures = {**self._drain(), **self._dispatch(), **self._pick_up()}
        return figures if self._peer.serial else {**figures, **self._nap()}

    def _drain(self) -> dict[str, Any]:
        count = self._load.drained
        with self._fresh() as folder:
            sent = self._send(folder, "many", "empty", count)
            redis_before = self._redis_cpu()
            with self._worker(folder, 100) as worker:
                totals = self._until(folder, count, worker)
                cpu = _tree_cpu(worker.pid) - totals.first_cpu
                rss = _tree_rss(worker.pid)
            prove(totals, count)
            redis = self._redis_cpu() - redis_before
        return {
            "drained per second": count / totals.seconds,
            "worker CPU µs per job": cpu / count * 1e6,
            "Redis CPU µs per job": redis / count * 1e6 if self._peer.store == "redis" else None,
            "many per second": count / sent["seconds"],
            "RSS MiB": rss,
        }

    def _dispatch(self) -> dict[str, Any]:
        count = self._load.one_by_one
        with self._fresh() as folder:
            sent = self._send(folder, "one", "empty", count)
        return {"one by one per second": count / sent["seconds"]}

    def _pick_up(self) -> dict[str, Any]:
        count = self._load.picked_up + _WARM_UP
        with self._fresh() as folder, self._worker(folder, 100) as worker:
            self._send(folder, "one", "empty", 1)
            self._until(folder, 1, worker)
            sent = self._send(folder, "steady", "stamp", count)["sent"]
            self._until(folder, count + 1, worker)
            began = work.moments(folder)
        waits = [(began[int(n)] - at) * 1000 for n, at in sent.items() if int(n) >= _WARM_UP]
        return {"pickup median ms": statistics.median(waits), "pickup p99 ms": share_below(waits, 0.99)}

    def _nap(self) -> dict[str, Any]:
        count, slots = self._load.naps, 200
        with self._fresh() as folder:
            self._send(folder, "many", "nap", count)
            with self._worker(folder, slots) as worker:
                totals = self._until(folder, count, worker)
            prove(totals, count)
        return {"naps over the ideal": totals.seconds / (count / slots * _IDEAL)}

    @contextmanager
    def _fresh(self) -> Iterator[Path]:
        """An empty store and a folder."""
        self._server.run("FLUSHALL")
        if self._peer.store == "postgres":
            reset = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
            subprocess.run(["psql", self._postgres, "-qc", reset], check=True, capture_output=True)
            self._run([*self._python(), "install"], Path())
        folder = Path(tempfile.mkdtemp(prefix="aiojobs-peers-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @contextmanager
    def _worker(self, folder: Path, slots: int) -> Iterator[Process]:
        words = self._peer.worker.format(
            bin=places.programs(self._peer),
            slots=slots,
            url=self._server.url,
            huey=8 if slots == 100 else slots,
        )
        process = Process(
            words.split(), self._environment(folder, slots), folder / "worker.log", new_session=True
        )
        try:
            yield process
        finally:
            process.kill_session()

    def _send(self, folder: Path, mode: str, task: str, count: int) -> dict[str, Any]:
        said = self._run([*self._python(), mode, task, str(count)], folder)
        answer: dict[str, Any] = json.loads(said.splitlines()[-1])
        return answer

    def _python(self) -> list[str]:
        if self._peer.app.endswith(".mjs"):
            return ["node", f"peers/apps/{self._peer.app}"]
        return [str(places.programs(self._peer) / "python"), "-m", "peers.sending", self._peer.app]

    def _run(self, words: list[str], folder: Path) -> str:
        environment = {**os.environ, **self._environment(folder, 100)}
        done = subprocess.run(
            words, cwd=BENCHMARKS, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr[-1500:]}")
        return done.stdout

    def _environment(self, folder: Path, slots: int) -> dict[str, str]:
        return {
            "PYTHONPATH": os.pathsep.join(
                [str(BENCHMARKS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
            ),
            "PEER_PORT": str(self._server.port),
            "PEER_SLOTS": str(slots),
            "PEER_POSTGRES": self._postgres,
            "BULLMQ_HOME": str(places.home(self._peer)),
            "BENCHMARK_TALLY": str(folder),
            **self._peer.environment,
        }

    def _until(self, folder: Path, count: int, worker: Process) -> Any:
        board, last, since = Board(folder), -1, time.monotonic()
        while (totals := board.read()).ran < count:
            worker.check_alive()
            if totals.ran > last:
                last, since = totals.ran, time.monotonic()
            elif time.monotonic() - since > _STALLED:
                raise TimeoutError(f"{totals.ran:,} of {count:,} ran: {worker.log.read_text()[-1500:]}")
            time.sleep(0.01)
        return totals

    def _redis_cpu(self) -> float:
        told = self._server.run("INFO", "cpu")
        return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def _session(pid: int) -> Iterator[tuple[Path, list[str]]]:
    """The processes of a session, each with the fields of its `stat` after the name."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == pid:
                yield entry, fields


def _tree_cpu(pid: int) -> float:
    """CPU seconds of a session's processes and of their children that ended."""
    return sum(sum(map(int, fields[11:15])) for _, fields in _session(pid)) / _TICKS


def _tree_rss(pid: int) -> float:
    """Resident MiB of a session's processes."""
    return sum(int(fields[21]) for _, fields in _session(pid)) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Install, measure in turn, write the table and the chart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="a rival's name; may be repeated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--drained", type=int, default=30_000)
    parser.add_argument("--one-by-one", type=int, default=3_000)
    parser.add_argument("--picked-up", type=int, default=300)
    parser.add_argument("--naps", type=int, default=2_000)
    parser.add_argument("--record", type=Path, help="a file for what was found out, as JSON")
    parser.add_argument("--install", action="store_true", help="install what is missing")
    parser.add_argument("--write", action="store_true", help="write the table and the chart into docs/")
    given = vars(parser.parse_args())
    only, repeats, writes, installs = (given.pop(name) for name in _NOT_LOAD)
    record: Path | None = given.pop("record")
    load = Load(**given)
    records: dict[str, list[dict[str, Any]]] = {}
    left_out: dict[str, str] = {}
    binary = redis_on_path() or valkey()
    with places.postgres() as postgres, tempfile.TemporaryDirectory(prefix="aiojobs-peers-") as folder:
        for turn in range(repeats):
            for peer in PEERS:
                if (only and peer.name not in only) or peer.name in left_out:
                    continue
                if not turn and (why := _why_not(peer, postgres, installs=installs)):
                    left_out[peer.name] = why
                    print(f"{peer.name}: left out, {why}", flush=True)
                    continue
                with Server(binary, Path(folder) / f"{peer.app}-{turn}") as server:
                    try:
                        found = Bench(peer, server, postgres, load).measure()
                    except (RuntimeError, TimeoutError, subprocess.SubprocessError, KeyError) as error:
                        left_out[peer.name] = f"failed: {error}"
                        print(f"{peer.name}: {error}", flush=True)
                        continue
                records.setdefault(peer.name, []).append(found)
                print(peer.name, json.dumps(found, ensure_ascii=False), flush=True)
    measured = [peer for peer in PEERS if peer.name in records]
    setting = {**machine(), "server": version(binary)}
    told = report.Told(
        setting=setting,
        records=records,
        versions={peer.name: places.versions(peer) for peer in measured},
        left_out=left_out,
        load=given,
    )
    print(report.table(told))
    if record is not None:
        record.write_text(json.dumps(asdict(told), indent=1), encoding="utf-8")
    if writes:
        report.write(told)


def _why_not(peer: Peer, postgres: str, *, installs: bool) -> str:
    if peer.store == "postgres" and not postgres:
        return "no PostgreSQL was found"
    if peer.app.endswith(".mjs") and shutil.which("node") is None:
        return "there is no Node"
    why = places.install(peer) if installs else ""
    return why or ("" if places.is_ready(peer) else "not installed")


if __name__ == "__main__":
    main()
