"""What a store can do beside the port for people who ask whether it is sound."""

from typing import Literal, Protocol, runtime_checkable

import msgspec

Severity = Literal["error", "warning", "note"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found.

    Attributes:
        severity: an `error` is wrong now, a `warning` can go wrong, a `note` is good to know.
        what: a plain sentence without its full stop.
        where: the server, file, key, table or setting.
        advice: what to do about it.
    """

    severity: Severity
    what: str
    where: str
    advice: str

    def __str__(self) -> str:
        """All of it in one line, for logs."""
        return f"{self.where}: {self.what}; {self.advice}"


@runtime_checkable
class Examinable(Protocol):
    """A store that can look through what it holds."""

    async def examine(self) -> list[Finding]:
        """What is wrong with the store and what holds it; empty when nothing is.

        It only reads, in portions that keep nobody waiting, while others may work on the store. It may be
        repeated and cancelled at any time.
        """
        ...
