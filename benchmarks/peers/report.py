"""The table, the chart and the page of `docs/` that a run of the rivals leads to."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.catalog import BARE, OURS, PEERS

DOCS = Path(__file__).parents[2] / "docs" / "explanation"
PAGE = Path(__file__).parent / "page.md"

_COLUMNS = (
    ("drained per second", "drained, jobs/s", 0),
    ("worker CPU µs per job", "worker CPU, µs/job", 0),
    ("Redis CPU µs per job", "Redis CPU, µs/job", 0),
    ("one by one per second", "dispatched one by one, jobs/s", 0),
    ("many per second", "dispatched many, jobs/s", 0),
    ("pickup median ms", "pickup median, ms", 2),
    ("pickup p99 ms", "p99, ms", 2),
    ("naps over the ideal", "2,000 naps, over the ideal", 2),
    ("RSS MiB", "RSS, MiB", 0),
)
_FONT = 'font-family="system-ui, sans-serif" font-size="12"'
_BAR, _GAP, _LEFT, _WIDTH = 18, 6, 130, 760


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that a run found out."""

    setting: dict[str, Any]
    records: dict[str, list[dict[str, Any]]]
    versions: dict[str, dict[str, str]]
    left_out: dict[str, str]
    load: dict[str, int]


def median(told: Told, name: str, column: str) -> float | None:
    """The median of a figure over the repetitions."""
    values = [record[column] for record in told.records[name] if record.get(column) is not None]
    return statistics.median(values) if values else None


def table(told: Told) -> str:
    """Medians, the fastest drain first."""
    rows = [f"| | {' | '.join(label for _, label, _ in _COLUMNS)} |", f"| --- |{' ---: |' * len(_COLUMNS)}"]
    for name in _ordered(told):
        cells = [_cell(median(told, name, column), digits) for column, _, digits in _COLUMNS]
        rows.append(f"| {f'**{name}**' if name == OURS else name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def write(told: Told) -> None:
    """Write page and chart."""
    (DOCS / "peers.svg").write_text(chart(told), encoding="utf-8")
    (DOCS / "peers.md").write_text(page(told), encoding="utf-8")


def chart(told: Told) -> str:
    """Jobs drained per second, as bars."""
    names = _ordered(told)
    values = {name: median(told, name, "drained per second") or 0.0 for name in names}
    most = max(values.values())
    height = len(names) * (_BAR + _GAP) + 2 * _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
        "<title>Empty jobs drained per second by one worker process</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for place, name in enumerate(names):
        top = _GAP + place * (_BAR + _GAP)
        width = max(1.0, values[name] / most * (_WIDTH - _LEFT - 80))
        colour = {OURS: "#2563eb", BARE: "#94a3b8"}.get(name, "#cbd5e1")
        middle = top + _BAR - 5
        parts += [
            f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end" fill="#0f172a">{name}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>',
            f'<text x="{_LEFT + width + 6:.1f}" y="{middle}" fill="#0f172a">{values[name]:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ordered(told: Told) -> list[str]:
    return sorted(told.records, key=lambda name: -(median(told, name, "drained per second") or 0.0))


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def page(told: Told) -> str:
    """The page of the docs."""
    most = max(map(len, told.records.values()))
    return PAGE.read_text(encoding="utf-8").format(
        table=table(told),
        runs=f"Medians of {most} runs." if most > 1 else "One run.",
        drained=f"{told.load['drained']:,}",
        setting=", ".join(f"{key} {value}" for key, value in told.setting.items()),
        versions="\n".join(_rows(told)),
    )


def _rows(told: Told) -> Iterator[str]:
    for peer in PEERS:
        if peer.name in told.records:
            shown = ", ".join(f"{name} {version}" for name, version in told.versions[peer.name].items())
            settings = peer.settings.format(slots="100 (naps: 200)", huey="8 (naps: 200)")
            yield f"| {peer.name} | {shown} | {settings} |"
    for name, why in told.left_out.items():
        yield f"| {name} | | left out: {' '.join(why.split())[:120]} |"
