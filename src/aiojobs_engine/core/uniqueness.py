"""The rule of a unique job as its envelope carries it."""

import msgspec

from aiojobs_engine.core.state import FINAL, Status

OPEN = tuple(status for status in Status if status not in FINAL)


class UniqueKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The key of a unique job within its queue, and the rule by which it is kept out.

    Attributes:
        states: in which the job that holds the key keeps this one out.
        window: ms after the dispatch of that job in which it does; None is for ever.
        replaces: that job takes over what this one brings, when it is `scheduled` or `pending`.
        max_wait: ms after the dispatch of that job beyond which it is not put off.
    """

    key: str
    states: tuple[Status, ...] = OPEN
    window: int | None = None
    replaces: bool = False
    max_wait: int | None = None
