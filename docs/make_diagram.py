"""Write the state diagram and the table of `reference/statuses.md` from `core.state.TRANSITIONS`.

python -m docs.make_diagram
"""

# ruff: noqa: INP001 - scripts beside the pages that they write

from collections import defaultdict
from collections.abc import Iterable

from aiojobs_engine.core.state import FINAL, STORE_DECIDES, TRANSITIONS, Status, Trigger
from docs.pages import DOCS, table, write

PAGE = DOCS / "reference" / "statuses.md"

_STARTS = {Status.PENDING: "dispatch", Status.SCHEDULED: "dispatch for later"}


def parts() -> dict[str, str]:
    """The generated parts of the page."""
    return {"diagram": diagram(), "transitions": transitions()}


def diagram() -> str:
    """The table as a Mermaid state diagram, one arrow for all triggers between two statuses."""
    arrows: dict[tuple[Status, Status], list[str]] = defaultdict(list)
    for (status, trigger), then in TRANSITIONS.items():
        arrows[status, then].append(trigger)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    [*] --> {status}: {what}" for status, what in _STARTS.items()]
    lines += [f"    {status} --> {then}: {', '.join(words)}" for (status, then), words in arrows.items()]
    lines += [f"    {status} --> [*]" for status in Status if status in FINAL]
    return "\n".join([*lines, "```"])


def transitions() -> str:
    """The table itself: one line per trigger."""
    rows: list[list[str]] = []
    for trigger in Trigger:
        moves = [(status, then) for (status, named), then in TRANSITIONS.items() if named is trigger]
        by_store = [status for status, _ in moves if (status, trigger) in STORE_DECIDES]
        rows.append([trigger, _listed(status for status, _ in moves), moves[0][1], _listed(by_store)])
    return table(["what happens", "from", "to", "decided by the store from"], rows)


def _listed(statuses: Iterable[Status]) -> str:
    return ", ".join(statuses)


if __name__ == "__main__":
    write(PAGE, parts())
