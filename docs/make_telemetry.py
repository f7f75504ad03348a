"""Write the table of metrics of `reference/telemetry.md` from `core/metrics.py`.

python -m docs.make_telemetry
"""

# ruff: noqa: INP001 - scripts beside the pages that they write

from aiojobs_engine.core.metrics import CATALOGUE
from aiojobs_engine.telemetry.prometheus import prometheus_name
from docs.pages import DOCS, table, write

PAGE = DOCS / "reference" / "telemetry.md"


def parts() -> dict[str, str]:
    """The generated parts of the page, by name."""
    rows = [
        [
            f"`{metric.name}`",
            f"`{prometheus_name(metric)}`",
            metric.kind,
            metric.unit,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.about,
        ]
        for metric in CATALOGUE
    ]
    return {"metrics": table(["metric", "in Prometheus", "kind", "unit", "labels", "what"], rows)}


if __name__ == "__main__":
    write(PAGE, parts())
