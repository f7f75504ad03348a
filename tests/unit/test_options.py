"""Which level of options holds: call over jobs over decorator over kinds over defaults."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.job import CALL_OPTIONS, TYPE_OPTIONS, checked_options
from aiojobs_engine.core.options import published, resolve
from aiojobs_engine.core.retry import GiveUp, Retry, RetrySpec
from aiojobs_engine.settings import load_settings

LEVELS = ("defaults", "kinds", "decorator", "jobs")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "queue": st.sampled_from(["mail", "slow", "urgent"]),
    "priority": st.integers(-5, 5),
    "timeout": st.floats(0, 100),
    "result_ttl": st.floats(0, 100),
}


def _settings(given: dict[str, dict[str, Any]]) -> Settings:
    sections: dict[str, Any] = {"defaults": given["defaults"]}
    sections["kinds"] = {"job": given["kinds"], "import": {"queue": "imports"}}
    sections["jobs"] = {"app.mail": given["jobs"], "app.other": {"queue": "other"}}
    return load_settings(environ={}, overrides=sections)


@settings(deadline=None)
@given(
    chosen=st.fixed_dictionaries({level: st.fixed_dictionaries({}, optional=VALUES) for level in LEVELS}),
)
def test_the_nearest_level_that_says_something_holds(chosen: dict[str, dict[str, Any]]) -> None:
    resolved = resolve("app.mail", "job", chosen["decorator"], _settings(chosen))

    defaults = Settings().defaults
    for option in VALUES:
        said = [chosen[level][option] for level in LEVELS if option in chosen[level]]
        assert getattr(resolved, option) == (said[-1] if said else getattr(defaults, option))


def test_policies_of_all_levels_become_policies() -> None:
    none = {"retry": {"policy": "none"}}
    given_settings = _settings({"defaults": {}, "kinds": none, "jobs": {}, "decorator": {}})
    own = Retry.fixed(2, 5, on=OSError)

    assert resolve("app.mail", "job", {}, given_settings).retry.decide(1, ValueError()) == GiveUp()
    assert resolve("app.mail", "job", {"retry": own}, given_settings).retry is own
    assert resolve("app.mail", "import", {}, given_settings).retry == Retry(RetrySpec())


def test_crashes_come_from_the_worker_unless_something_nearer_says() -> None:
    given_settings = load_settings(environ={}, overrides={"worker": {"max_crashes": 7}})

    assert resolve("app.mail", "job", {}, given_settings).max_crashes == 7
    assert resolve("app.mail", "job", {"max_crashes": 2}, given_settings).max_crashes == 2


def test_options_that_only_a_dispatch_needs_are_kept_beside() -> None:
    decorated = checked_options({"delay": 5, "tags": ["a"], "meta": {"b": 1}}, TYPE_OPTIONS, "mail")
    resolved = resolve("app.mail", "job", decorated, Settings())

    assert resolved.extra == {"delay": 5.0, "tags": ("a",), "meta": {"b": 1}}
    assert published(resolved) == {"priority": 0, "delay": 5.0, "tags": ("a",), "meta": {"b": 1}}


@settings(deadline=None)
@given(seconds=st.floats(0, 2**39) | st.integers(0, 2**39))
def test_seconds_and_spans_of_time_become_seconds(seconds: float) -> None:
    for option in ("delay", "timeout", "result_ttl", "expires"):
        assert checked_options({option: seconds}, CALL_OPTIONS, "it") == {option: float(seconds)}
    span = timedelta(seconds=min(seconds, 86_400 * 365))
    assert checked_options({"delay": span}, CALL_OPTIONS, "it") == {"delay": span.total_seconds()}


def test_an_instant_stays_what_it_is() -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)

    assert checked_options({"at": at, "expires": at}, CALL_OPTIONS, "it") == {"at": at, "expires": at}


def test_a_mapping_and_a_list_are_taken_over_and_not_shared() -> None:
    meta, tags = {"page": 1}, ["nightly"]
    checked = checked_options({"meta": meta, "tags": tags}, CALL_OPTIONS, "it")
    meta["page"], tags[0] = 2, "late"

    assert checked == {"meta": {"page": 1}, "tags": ("nightly",)}


def test_an_id_belongs_to_one_call_and_a_name_to_a_type() -> None:
    with pytest.raises(ConfigError, match="no option 'id'"):
        checked_options({"id": "one"}, TYPE_OPTIONS, "a type")


@pytest.mark.parametrize(
    "option, hint",
    [
        (
            {"concurrency": 2},
            r"no option 'concurrency'; limits belong to types.*engine\.limits\.set.*limit_key",
        ),
        ({"rate_limit": "5/s"}, "no option 'rate_limit'; limits belong to types, queues and keys"),
        ({"breaker": True}, "no option 'breaker'; a breaker belongs to a type"),
        ({"run_in": "thread"}, "no option 'run_in'; a type runs in one place"),
        ({"name": "other"}, "no option 'name'; a type has one name: set it in the decorator"),
    ],
)
def test_what_belongs_to_a_type_is_refused_at_a_call_with_the_way_out(
    option: dict[str, Any], hint: str
) -> None:
    with pytest.raises(ConfigError, match=hint):
        checked_options(option, CALL_OPTIONS, "a call")
