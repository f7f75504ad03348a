"""What can be wrong with the keys of a home, in words for people."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from aiojobs_engine.ports.checkup import Finding, Severity

_EXAMPLES = 3


class Ailment(NamedTuple):
    """What is wrong, and what to do; both speak of any number."""

    what: str
    advice: str
    severity: Severity = "error"


_RUN_ANEW = "cancel them, then retry those that shall run: jobs cancel ID, jobs retry ID"
_DELETE = "remove them once nobody works on the store: jobs delete ID"

OF_JOBS = {
    "bodiless": Ailment("jobs have lost their envelope and can't run", _DELETE),
    "damaged": Ailment("jobs have an envelope or state that can't be read", _DELETE),
    "unlisted": Ailment("pending jobs are missing on their lane, where workers look for them", _RUN_ANEW),
    "undue": Ailment("jobs for later are missing among those that become due, and never will", _RUN_ANEW),
    "unleased": Ailment(
        "processing jobs have no lease that could run out, so nobody takes them over",
        "let them be rescued: ZADD {prefix}leases 0 PLACE, where ZSCORE {prefix}jobs ID gives the place",
    ),
    "unended": Ailment(
        "ended jobs are missing among those that are pruned, and stay for ever",
        "delete them: jobs delete ID",
    ),
    "unexpiring": Ailment(
        "jobs that may expire are missing among those that do", "cancel those that are late: jobs cancel ID"
    ),
    "ununique": Ailment(
        "unique jobs have no entry that keeps others of their key out",
        "nothing to do if doubles do no harm; else cancel and dispatch them again",
    ),
    "unchained": Ailment(
        "chunks or members are unknown to the job that they belong to", "cancel that job and retry it"
    ),
    "unkept": Ailment(
        "results are missing among those that are dropped in time", "delete the jobs: jobs delete ID"
    ),
    "miscounted": Ailment(
        "waiting jobs count their chunks or members wrongly, and may never end", "cancel and retry them"
    ),
    "stuck": Ailment("waiting jobs wait for nothing any more", "cancel and retry them"),
}

_REMOVE_MEMBER = "remove each: ZREM KEY MEMBER; it stands for nothing"
_REMOVE_FIELD = "remove each: HDEL KEY FIELD; it stands for nothing"
HASHES = frozenset({"body", "state", "faults"})


def of_entries(family: str, *, is_stray: bool) -> Ailment:
    """What entries of a key are when their job is gone, or stands elsewhere."""
    remove = _REMOVE_FIELD if family in HASHES else _REMOVE_MEMBER
    if is_stray:
        return Ailment(f"entries of `{family}` belong to no job", remove)
    return Ailment(f"entries of `{family}` name jobs whose state says that they stand elsewhere", remove)


class Ledger:
    """What was found so far, gathered by kind."""

    def __init__(self, prefix: str) -> None:
        """Speak of the keys that begin with `prefix`."""
        self._prefix = prefix
        self._found: dict[tuple[Ailment, str], list[str]] = {}

    def add(self, ailment: Ailment, where: str, which: Sequence[str]) -> None:
        """Note what has an ailment at a key."""
        if which:
            self._found.setdefault((ailment, where), []).extend(which)

    def has(self, where: str) -> bool:
        """Whether something was found at a key."""
        return any(place == where for _, place in self._found)

    def findings(self) -> Iterator[Finding]:
        """One finding for each kind and key, with how many and the first few of them."""
        for (ailment, where), which in self._found.items():
            names = sorted(set(which))
            shown = ", ".join(names[:_EXAMPLES]) + (", …" if len(names) > _EXAMPLES else "")
            yield Finding(
                severity=ailment.severity,
                what=f"{ailment.what}: {len(names):,} ({shown})",
                where=f"{self._prefix}{where}",
                advice=ailment.advice.replace("{prefix}", self._prefix),
            )
