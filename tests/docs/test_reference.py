"""The generated parts of the reference say what the code says now."""

from collections.abc import Mapping

import msgspec
import pytest

import aiojobs_engine
from aiojobs_engine import testing
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.job import CALL_OPTIONS, TYPE_OPTIONS
from aiojobs_engine.core.state import TRANSITIONS, Status
from aiojobs_engine.core.status import JobStatus
from docs import make_api, make_commands, make_configuration, make_diagram, make_telemetry
from docs.pages import updated
from tests.docs.markdown import page

GENERATED = [
    pytest.param("docs/reference/statuses.md", make_diagram.parts(), "make_diagram", id="statuses"),
    pytest.param(
        "docs/reference/configuration.md",
        make_configuration.parts(),
        "make_configuration",
        id="configuration",
    ),
    pytest.param("docs/reference/command-line.md", make_commands.parts(), "make_commands", id="command-line"),
    pytest.param("docs/reference/api.md", make_api.api(), "make_api", id="api"),
    pytest.param("docs/reference/telemetry.md", make_telemetry.parts(), "make_telemetry", id="telemetry"),
    pytest.param("docs/reference/errors.md", make_api.error_parts(), "make_api", id="errors"),
]


@pytest.mark.parametrize("name, parts, script", GENERATED)
def test_the_generated_parts_are_fresh(name: str, parts: Mapping[str, str], script: str) -> None:
    text = page(name).text

    assert updated(text, parts) == text, f"{name} is stale: run python -m docs.{script}"


def test_every_public_name_has_a_place() -> None:
    public = {*aiojobs_engine.__all__, *testing.__all__}

    assert public - make_api.documented() == set()


def test_every_status_and_transition_is_in_the_diagram() -> None:
    diagram = make_diagram.diagram()

    for (status, trigger), then in TRANSITIONS.items():
        assert any(f"{status} --> {then}: " in line and trigger in line for line in diagram.splitlines())
    assert all(f"| `{status}` |" in page("docs/reference/statuses.md").text for status in Status)


def test_every_section_of_the_settings_is_in_the_reference() -> None:
    text = page("docs/reference/configuration.md").text
    sections = [field.name for field in msgspec.structs.fields(Settings) if field.name not in ("url", "app")]

    assert [name for name in sections if f"[{name}" not in text] == []


def test_every_option_of_a_job_has_a_meaning() -> None:
    assert make_api.OPTIONS.keys() == TYPE_OPTIONS | CALL_OPTIONS


def test_every_field_of_a_status_is_in_the_reference() -> None:
    text = page("docs/reference/api.md").text

    assert [name for name in JobStatus.__struct_fields__ if f"\n{name}: " not in text] == []


def test_a_part_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="no one place"):
        updated("nothing here", {"diagram": "x"})
