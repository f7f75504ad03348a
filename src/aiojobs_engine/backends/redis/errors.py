"""Where the errors of servers and connections become the package's own."""

from enum import Enum

from aiojobs_engine.core.errors import BackendError, BackendFull, BackendUnavailable


class Refused(Exception):
    """A server answered a command with an error.

    Attributes:
        code: its first word, like `OOM` or `READONLY`.
    """

    def __init__(self, text: str) -> None:
        """Keep the first word beside the text."""
        self.text = text
        self.code = text.partition(" ")[0]
        super().__init__(text)


class Cut(Exception):
    """A connection ended, or could not be opened; what it carried may or may not have taken place."""


class Verdict(Enum):
    """What is to be done about a refusal."""

    FATAL = "repeating can't help"
    LATER = "the same server answers soon"
    ELSEWHERE = "this server will not do it, another connection may lead to one that does"
    MOVED = "another server of the Cluster has the slot"
    UNKNOWN_SCRIPT = "send the source"


_VERDICTS = {
    "NOSCRIPT": Verdict.UNKNOWN_SCRIPT,
    "MOVED": Verdict.MOVED,
    "ASK": Verdict.MOVED,
    "LOADING": Verdict.LATER,
    "BUSY": Verdict.LATER,
    "TRYAGAIN": Verdict.LATER,
    "CLUSTERDOWN": Verdict.LATER,
    "MASTERDOWN": Verdict.LATER,
    "NOREPLICAS": Verdict.LATER,
    "READONLY": Verdict.ELSEWHERE,
    "UNBLOCKED": Verdict.ELSEWHERE,
}
_ADVICE = {
    "LOADING": "is still loading its data; repeat the call",
    "BUSY": "is busy with a long script of somebody's; see its slow log, or end that with SCRIPT KILL",
    "TRYAGAIN": "is moving this slot to another server; repeat the call",
    "CLUSTERDOWN": "belongs to a Cluster that is down; see CLUSTER INFO",
    "MASTERDOWN": "is a replica that lost its primary; see INFO replication",
    "NOREPLICAS": "has fewer replicas than min-replicas-to-write asks for; bring them back",
    "READONLY": "is a read-only replica; name its primary in the URL, or use redis+sentinel://",
    "MISCONF": "can't write its data to disk and so takes no writes; see its log, free disk space",
    "NOAUTH": "asks for a password; put one in the URL: redis://user:password@host",
    "WRONGPASS": "refuses this user or password; see ACL LIST",
    "NOPERM": "doesn't allow this user a command or key that the engine needs; the docs list them",
    "MOVED": "keeps moving the slot; see CLUSTER NODES, and name a Cluster by redis+cluster://",
    "ASK": "keeps moving the slot; see CLUSTER NODES, and name a Cluster by redis+cluster://",
}


def verdict(refused: Refused) -> Verdict:
    """What is to be done about it."""
    return _VERDICTS.get(refused.code, Verdict.FATAL)


def translated(trouble: Refused | Cut, shown: str) -> BackendError | Refused:
    """What trouble that won't pass means to the caller of an open store.

    A refusal that tells of a fault in this package, not of the server, stays as it is: no repeat can help.
    """
    if isinstance(trouble, Cut):
        return BackendUnavailable(f"{shown} can't be reached: {str(trouble).rstrip('.')}; repeat the call")
    if trouble.code == "OOM":
        return BackendFull(
            f"{shown} has no room: its memory has reached maxmemory; raise that, purge or prune jobs"
        )
    if (advice := _ADVICE.get(trouble.code)) is not None:
        return BackendUnavailable(f"{shown} {advice} ({trouble.text:.200})")
    return trouble
