"""The board for Grafana asks for metrics and labels that there are, and leaves none out."""

import json
import re
from collections.abc import Iterator
from typing import Any

from aiojobs_engine.core.metrics import CATALOGUE
from aiojobs_engine.telemetry.prometheus import prometheus_name
from tests.house.tree import ROOT

BOARD: dict[str, Any] = json.loads(
    (ROOT / "docs" / "grafana" / "aiojobs_engine.json").read_text(encoding="utf-8")
)
METRICS = {prometheus_name(metric): metric for metric in CATALOGUE}
NAME = re.compile(r"\b(?:aiojobs_engine|messaging)_[a-z_]+\b")
SERIES = re.compile(r"\b((?:aiojobs_engine|messaging)_[a-z_]+)(?:\{([^}]*)\})?(?=[\[)\s]|$)")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"by \(([^)]*)\)")


def expressions() -> Iterator[str]:
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def family(name: str) -> str:
    for end in ("_bucket", "_sum", "_count"):
        if name.removesuffix(end) in METRICS and METRICS[name.removesuffix(end)].kind == "histogram":
            return name.removesuffix(end)
    return name


def labels_of(name: str) -> set[str]:
    return {label.replace(".", "_") for label in METRICS[family(name)].labels} | {"le", "instance"}


def test_every_series_of_the_board_is_a_metric_with_those_labels() -> None:
    for expression in expressions():
        grouped = [label.strip() for part in GROUPED.findall(expression) for label in part.split(",")]
        bare = GROUPED.sub("by ()", expression)
        series = SERIES.findall(bare)
        assert series, expression
        for name, matchers in series:
            assert family(name) in METRICS, f"{name} is no metric: {expression}"
            asked = {*LABEL.findall(matchers), *grouped}
            assert asked <= labels_of(name), f"{name} has no {asked - labels_of(name)}: {expression}"


def test_every_metric_is_on_the_board() -> None:
    asked = {family(name) for expression in expressions() for name in NAME.findall(expression)}

    assert set(METRICS) - asked == set()


def test_legends_and_variables_name_labels() -> None:
    known = {label.replace(".", "_") for metric in CATALOGUE for label in metric.labels} | {"instance"}
    legends = [target["legendFormat"] for panel in BOARD["panels"] for target in panel["targets"]]
    named = {name for legend in legends for name in re.findall(r"\{\{(\w+)\}\}", legend)}

    assert named <= known
    for variable in BOARD["templating"]["list"][1:]:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
        assert label in labels_of(metric)


def test_panels_have_titles_and_places_of_their_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]

    assert len(set(places)) == len(places)
    assert all(panel["title"] for panel in BOARD["panels"])
