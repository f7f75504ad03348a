"""What a run showed: what was done, what was broken, how soon the jobs of killed workers ran again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from chaos.history import History, read_history
from chaos.laws import Breach, breaches

LAWS = (
    "lost",
    "doubled",
    "early",
    "result",
    "attempts",
    "crashes",
    "counters",
    "tokens",
    "invented",
    "stuck",
    "file",
)
SHOWN = 10
_TO_WORKERS = frozenset({"kill", "stop", "drain", "gave up"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The figures of a run.

    Attributes:
        acknowledged: jobs whose dispatch returned, imports included; `jobs` counts chunks too.
        runs: how often handlers began.
        gave_up: workers that ended by themselves: the file was locked for too long when they started.
        held: jobs that the killed workers had in hand.
        recoveries: seconds from a kill to the next run of each of these, in order.
        beside_stops: the same while another worker stood still (one that was stopped while it wrote keeps a
            file's lock until it goes on), or the server did.
        gone: those that never ran again because they were out of crashes.
        troubles: what was done to the server, and how often.
        unexplained: leases that were lost though nobody struck their worker: it stood still by itself.
    """

    acknowledged: int
    jobs: int
    runs: int
    imports: int
    reads: int
    kills: int
    stops: int
    drains: int
    gave_up: int
    held: int
    recoveries: tuple[float, ...]
    beside_stops: tuple[float, ...]
    gone: int
    unexplained: int
    breaches: tuple[Breach, ...]
    troubles: Mapping[str, int]

    def count(self, law: str) -> int:
        """How many breaches of one law."""
        return sum(breach.law == law for breach in self.breaches)


def within(recoveries: tuple[float, ...], share: float) -> float:
    """Seconds that `share` (0 .. 1) of ordered recoveries don't exceed; 0 without any."""
    return recoveries[min(len(recoveries) - 1, int(share * len(recoveries)))] if recoveries else 0.0


def judge(folder: Path) -> Verdict:
    """Read a run's folder and hold it to the laws."""
    history = read_history(folder)
    found = breaches(history)
    deeds = Counter(deed["what"] for deed in history.deeds)
    recoveries, beside_stops, gone = _recoveries(history)
    return Verdict(
        acknowledged=len(history.stored),
        jobs=len(history.jobs),
        runs=sum(map(len, history.began.values())),
        imports=sum(asked["type"] == "load" for asked in history.asked.values()),
        reads=len(history.reads),
        kills=deeds["kill"],
        stops=deeds["stop"],
        drains=deeds["drain"],
        gave_up=deeds["gave up"],
        held=sum(len(deed["held"]) for deed in history.deeds if deed["what"] == "kill"),
        recoveries=tuple(sorted(recoveries)),
        beside_stops=tuple(sorted(beside_stops)),
        gone=gone,
        unexplained=sum(breach.law == "unexplained" for breach in found),
        breaches=tuple(breach for breach in found if breach.law != "unexplained"),
        troubles={what: count for what, count in deeds.items() if what not in _TO_WORKERS},
    )


def _recoveries(history: History) -> tuple[list[float], list[float], int]:
    """Seconds until the jobs of killed workers ran again, alone and beside stops; how many never did.

    A job whose next holder was killed before its handler began is counted from that kill on.
    """
    alone: list[float] = []
    beside_stops: list[float] = []
    gone = 0
    stops = [(deed["at"], deed["at"] + deed["seconds"]) for deed in history.deeds if "seconds" in deed]
    kills = [deed for deed in history.deeds if deed["what"] == "kill"]
    for place, deed in enumerate(kills):
        held_later = {(job_id, token) for later in kills[place + 1 :] for job_id, token, _ in later["held"]}
        for job_id, token, writes in deed["held"]:
            later = [run for run in history.began.get(job_id, ()) if run["token"] > token]
            if later:
                again = min(later, key=itemgetter("at"))
                if any((job_id, between) in held_later for between in range(token + 1, again["token"])):
                    continue
                is_beside = any(start < again["at"] and end > deed["at"] for start, end in stops)
                (beside_stops if is_beside else alone).append(again["at"] - deed["at"])
            elif writes and job_id in history.jobs:
                gone += 1
    return alone, beside_stops, gone
