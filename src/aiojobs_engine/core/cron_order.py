"""Entries that depend on each other: who comes first, and circles, in which nobody would."""

from collections.abc import Mapping, Sequence


def circle_of(name: str, depends_on: Mapping[str, Sequence[str]]) -> list[str]:
    """The way from an entry through what it depends on back to itself; empty without one."""
    ways: list[list[str]] = [[name]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for former in depends_on.get(way[-1], ()):
            if former == name:
                return [*way, name]
            if former not in seen:
                seen.add(former)
                ways.append([*way, former])
    return []


def circle_fault(circle: Sequence[str]) -> str:
    """What is wrong with entries in a circle, in words."""
    return f"it waits for itself: {' waits for '.join(circle)}"
