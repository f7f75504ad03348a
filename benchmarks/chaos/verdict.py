"""What a run showed: what was done, what was broken, how soon the jobs of killed workers ran again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from chaos.breach import Breach
from chaos.history import History, read_history
from chaos.laws import breaches

LAWS = (
    "lost",
    "doubled",
    "early",
    "result",
    "runs",
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


@dataclass(slots=True)
class Recoveries:
    """Seconds from a kill to the next run of each job that the worker held.

    Attributes:
        struck_again: of those whose next holder was killed before their handlers began; that kill counts
            them once more.
        beside_stops: of those that another worker or the server, standing still, may have held up.
        alone: of all others.
        gone: how many never ran again because they were out of crashes.
    """

    alone: list[float] = field(default_factory=list)
    struck_again: list[float] = field(default_factory=list)
    beside_stops: list[float] = field(default_factory=list)
    gone: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The figures of a run.

    Attributes:
        acknowledged: jobs whose dispatch returned, imports included; `jobs` counts chunks too.
        runs: how often handlers began.
        gave_up: workers that ended by themselves: the file was locked for too long when they started.
        held: jobs that the killed workers had in hand.
        recoveries: how soon these ran again.
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
    recoveries: Recoveries
    unexplained: int
    breaches: tuple[Breach, ...]
    troubles: Mapping[str, int]

    def count(self, law: str) -> int:
        """How many breaches of one law."""
        return sum(breach.law == law for breach in self.breaches)


def within(seconds: list[float], share: float) -> float:
    """What `share` (0 .. 1) of some times don't exceed; 0 without any."""
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))] if seconds else 0.0


def judge(folder: Path) -> Verdict:
    """Read a run's folder and hold it to the laws."""
    history = read_history(folder)
    found = breaches(history)
    deeds = Counter(deed["what"] for deed in history.deeds)
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
        recoveries=_recoveries(history),
        unexplained=sum(breach.law == "unexplained" for breach in found),
        breaches=tuple(breach for breach in found if breach.law != "unexplained"),
        troubles={what: count for what, count in deeds.items() if what not in _TO_WORKERS},
    )


def _recoveries(history: History) -> Recoveries:
    """How soon the jobs of killed workers ran again."""
    found = Recoveries()
    stops = [(deed["at"], deed["at"] + deed["seconds"]) for deed in history.deeds if "seconds" in deed]
    kills = [deed for deed in history.deeds if deed["what"] == "kill"]
    struck = {(job_id, token) for deed in kills for job_id, token, _ in deed["held"]}
    for deed in kills:
        for job_id, token, writes in deed["held"]:
            later = [run for run in history.began.get(job_id, ()) if run["token"] > token]
            if later:
                again = min(later, key=itemgetter("at"))
                seconds = again["at"] - deed["at"]
                if any((job_id, between) in struck for between in range(token + 1, again["token"])):
                    found.struck_again.append(seconds)
                elif any(start < again["at"] and end > deed["at"] for start, end in stops):
                    found.beside_stops.append(seconds)
                else:
                    found.alone.append(seconds)
            elif writes and job_id in history.jobs:
                found.gone += 1
    return found
