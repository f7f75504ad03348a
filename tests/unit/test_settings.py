"""Settings: code over environment over file over default; a wrong key is named with the nearest right one."""

from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import ConfigError, Engine, load_settings
from aiojobs_engine.core.config import Settings, WorkerSettings

FILE = """
url = "sqlite:///of-file.db"

[worker]
concurrency = 7
queues = ["mail", "slow"]
drain_timeout = "30s"

[defaults]
retry = { policy = "fixed", max_attempts = 9, base = 1 }

[kinds.import.listeners]
notify = true

[jobs."app.send_welcome"]
queue = "mail"
timeout = "5m"

[retention]
completed = { age = "2h", keep = 10 }
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str = "", **environ: str) -> Settings:
    Path("aiojobs.toml").write_text(text, encoding="utf-8")
    return load_settings(environ=environ)


def refused(text: str = "", overrides: Any = None, **environ: str) -> str:
    Path("aiojobs.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=environ, overrides=overrides)
    return str(caught.value)


def test_without_anything_the_defaults_hold() -> None:
    assert load_settings(environ={}) == Settings()


def test_a_file_is_read() -> None:
    settings = read(FILE)

    assert settings.url == "sqlite:///of-file.db"
    assert (settings.worker.concurrency, settings.worker.queues) == (7, ["mail", "slow"])
    assert settings.worker.drain_timeout == 30.0
    assert (settings.defaults.retry.policy, settings.defaults.retry.max_attempts) == ("fixed", 9)
    assert settings.kinds["import"].listeners is not None
    assert settings.kinds["import"].listeners.notify
    assert settings.jobs["app.send_welcome"].queue == "mail"
    assert settings.jobs["app.send_welcome"].timeout == 300.0
    assert (settings.retention.completed.age, settings.retention.completed.keep) == (7200.0, 10)
    assert settings.worker.lease == WorkerSettings().lease


def test_pyproject_is_read_when_it_has_the_table(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.aiojobs_engine.worker]\nconcurrency = 3\n", encoding="utf-8")

    assert load_settings(environ={}).worker.concurrency == 3


@pytest.mark.parametrize(
    "text", ["", "[tool.other]\nx = 1\n", "[project]\nname = 'aiojobs_engine'\n", "broken ="]
)
def test_a_pyproject_of_others_is_passed_over(here: Path, text: str) -> None:
    (here / "pyproject.toml").write_text(text, encoding="utf-8")

    assert load_settings(environ={}) == Settings()


@pytest.mark.parametrize(
    "name", ["aiojobs-engine", "aiojobs_engin.worker", '"aiojobs-engine".worker', "aiojobs"]
)
def test_a_misspelt_table_of_a_pyproject_is_not_passed_over(here: Path, name: str) -> None:
    text = f"[project]\ndependencies = ['aiojobs_engine']\n[tool.{name}]\nconcurrency = 3\n"
    (here / "pyproject.toml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"is not read; the table is \[tool\.aiojobs_engine\]"):
        load_settings(environ={})


def test_the_file_of_its_own_wins_over_pyproject(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.aiojobs_engine]\nurl = 'memory://'\n", encoding="utf-8")

    assert read("url = 'sqlite:///own.db'").url == "sqlite:///own.db"


def test_a_path_and_the_environment_name_a_file(here: Path) -> None:
    other = here / "other.toml"
    other.write_text("url = 'memory://'", encoding="utf-8")

    assert load_settings(other, environ={}).url == "memory://"
    assert load_settings(environ={"AIOJOBS_CONFIG": str(other)}).url == "memory://"


def test_a_file_that_was_named_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"no configuration file 'gone.toml'"):
        load_settings("gone.toml", environ={})
    with pytest.raises(ConfigError, match="no configuration file"):
        load_settings(environ={"AIOJOBS_CONFIG": "gone.toml"})


def test_a_file_that_is_no_toml_is_named() -> None:
    assert refused("url = ").startswith("aiojobs.toml can't be read: ")


@pytest.mark.parametrize(
    "environ, place, value",
    [
        ({"AIOJOBS_URL": "memory://"}, "url", "memory://"),
        ({"AIOJOBS_APP": "app:engine"}, "app", "app:engine"),
        ({"AIOJOBS_WORKER__CONCURRENCY": "12"}, "worker.concurrency", 12),
        ({"AIOJOBS_WORKER__CRON": "false"}, "worker.cron", False),
        ({"AIOJOBS_WORKER__LEASE": "2.5"}, "worker.lease", 2.5),
        ({"AIOJOBS_WORKER__DRAIN_TIMEOUT": "1m"}, "worker.drain_timeout", 60.0),
        ({"AIOJOBS_WORKER__QUEUES": '["a", "b"]'}, "worker.queues", ["a", "b"]),
        ({"AIOJOBS_DEFAULTS__RETRY__MAX_ATTEMPTS": "8"}, "defaults.retry.max_attempts", 8),
        ({"AIOJOBS_DEFAULTS__RETRY": '{"policy": "none"}'}, "defaults.retry.policy", "none"),
        ({"AIOJOBS_RETENTION__FAILED__AGE": "7d"}, "retention.failed.age", 604_800.0),
        ({"AIOJOBS_LISTENERS": '{"log": false}'}, "listeners.log", False),
        ({"AIOJOBS_SQLITE__DURABILITY": "normal"}, "sqlite.durability", "normal"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_environment_sets_any_setting(environ: dict[str, str], place: str, value: object) -> None:
    found: Any = load_settings(environ=environ)
    for name in place.split("."):
        found = getattr(found, name)

    assert found == value


def test_the_environment_sets_options_of_kinds_and_jobs() -> None:
    settings = load_settings(
        environ={
            "AIOJOBS_KINDS__IMPORT__LISTENERS__NOTIFY": "true",
            "AIOJOBS_JOBS__send_Welcome__QUEUE": "mail",
            "AIOJOBS_JOBS": '{"app.other": {"priority": 5, "tags": ["a"]}}',
        }
    )

    assert settings.kinds["import"].listeners is not None
    assert settings.kinds["import"].listeners.notify
    assert settings.jobs["send_Welcome"].queue == "mail"
    assert (settings.jobs["app.other"].priority, settings.jobs["app.other"].tags) == (5, ("a",))


def test_code_wins_over_environment_over_file() -> None:
    environ = {"AIOJOBS_WORKER__CONCURRENCY": "2", "AIOJOBS_WORKER__PROCESSES": "2"}
    Path("aiojobs.toml").write_text(
        "[worker]\nconcurrency = 1\nprocesses = 1\nmax_crashes = 1\n", encoding="utf-8"
    )

    settings = load_settings(environ=environ, overrides={"worker": {"concurrency": 3}})

    assert settings.worker.concurrency == 3
    assert settings.worker.processes == 2
    assert settings.worker.max_crashes == 1


def test_an_empty_variable_counts_as_absent() -> None:
    assert load_settings(environ={"AIOJOBS_URL": "", "AIOJOBS_CONFIG": ""}) == Settings()


def test_variables_of_others_are_passed_over() -> None:
    assert (
        load_settings(environ={"AIOJOBS_CI": "1", "AIOJOBS_TEST_REDIS_URL": "x", "PATH": "y"}) == Settings()
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("ulr = 'x'", "aiojobs.toml: there is no setting 'ulr'; did you mean 'url'?"),
        (
            "[worker]\nconcurency = 1",
            "aiojobs.toml: there is no setting 'worker.concurency'; did you mean 'concurrency'?",
        ),
        (
            "[jobs.'app.x']\nprioritty = 1",
            "aiojobs.toml: there is no setting 'jobs.app.x.prioritty'; did you mean 'priority'?",
        ),
        (
            "[kinds.import.listeners]\nnotfy = true",
            "aiojobs.toml: there is no setting 'kinds.import.listeners.notfy'; did you mean 'notify'?",
        ),
        (
            "[defaults]\nretry = { max_attemps = 3 }",
            "aiojobs.toml: there is no setting 'defaults.retry.max_attemps'; did you mean 'max_attempts'?",
        ),
        (
            "[chunking]\nxyz = 1",
            "aiojobs.toml: there is no setting 'chunking.xyz'; chunking has size, threshold",
        ),
    ],
)
def test_a_wrong_key_of_a_file_is_named_with_the_nearest(text: str, message: str) -> None:
    assert refused(text) == message


@pytest.mark.parametrize(
    "text, message",
    [
        ("[worker]\nconcurrency = 'many'", "worker.concurrency = 'many' is wrong: expected `int`, got `str`"),
        ("[worker]\nconcurrency = 0", "worker.concurrency = 0 is wrong: expected `int` >= 1"),
        ("[worker]\nlease = 0", "worker.lease = 0 is wrong: expected `float` >= 0.1"),
        ("[worker]\nlease = '10 parsecs'", "worker.lease = '10 parsecs' is wrong: a duration is"),
        ("[worker]\nqueues = ['a b']", "worker.queues = ['a b'] is wrong: expected `str` matching regex"),
        ("worker = 5", "worker is a section, got 5"),
        ("jobs = 5", "jobs is a table of sections by name, got 5"),
        ("[jobs]\nx = 5", "jobs.x is a section, got 5"),
        (
            "[defaults]\nretry = { policy = 'often' }",
            "defaults.retry.policy = 'often' is wrong: invalid enum value 'often'; it is one of none, fixed",
        ),
        ("[defaults]\nretry = { max_attempts = 0 }", "defaults.retry is wrong: retry max_attempts must be"),
        ("[defaults]\npriority = 99999999999", "defaults.priority = 99999999999 is wrong"),
        (
            "[sqlite]\ndurability = 'maybe'",
            "sqlite.durability = 'maybe' is wrong: invalid enum value 'maybe'",
        ),
        (
            "[sqlite]\ndurability = 'ful'",
            "sqlite.durability = 'ful' is wrong: invalid enum value 'ful'; did you mean",
        ),
        (
            "[jobs.mail]\nrate_limit = '100/minut'",
            "jobs.mail.rate_limit = '100/minut' is wrong: it must be like '100/minute'",
        ),
        (
            "[queues.mail]\nrate_limit = '5/0s'",
            "queues.mail.rate_limit = '5/0s' is wrong: it: amount, period",
        ),
        ("[listeners]\nlog = 'yes'", "listeners.log = 'yes' is wrong: expected `bool`, got `str`"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(text: str, message: str) -> None:
    assert refused(text).startswith(f"aiojobs.toml: {message}")


@pytest.mark.parametrize(
    "environ, message",
    [
        (
            {"AIOJOBS_WORKER__CONCURENCY": "1"},
            (
                "environment variable AIOJOBS_WORKER__CONCURENCY: there is no setting 'worker.concurency'; "
                "did you mean 'concurrency'?"
            ),
        ),
        (
            {"AIOJOBS_WROKER__CONCURRENCY": "1"},
            (
                "environment variable AIOJOBS_WROKER__CONCURRENCY: there is no setting 'wroker'; "
                "did you mean 'worker'?"
            ),
        ),
        (
            {"AIOJOBS_URL__X": "1"},
            (
                "environment variable AIOJOBS_URL__X: there is no setting 'url.x'; "
                "url has no settings of its own"
            ),
        ),
        (
            {"AIOJOBS_WORKER__CONCURRENCY": "many"},
            (
                "environment variable AIOJOBS_WORKER__CONCURRENCY: worker.concurrency = 'many' is wrong: "
                "expected `int`, got `str`"
            ),
        ),
        (
            {"AIOJOBS_ULR": "memory://"},
            "environment: there is no variable 'AIOJOBS_ULR'; did you mean 'AIOJOBS_URL'?",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_variable_is_named_with_the_nearest(environ: dict[str, str], message: str) -> None:
    assert refused(**environ) == message


def test_a_structured_variable_that_is_no_json_is_named() -> None:
    assert refused(AIOJOBS_WORKER__QUEUES="mail,slow").startswith(
        "environment variable AIOJOBS_WORKER__QUEUES must be JSON"
    )


@pytest.mark.parametrize("config", [[], 5, {1: 2}])
def test_settings_of_the_code_that_are_no_settings_are_refused(config: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"config=: (the configuration is a section|there is no setting '1')"
    ):
        load_settings(overrides=config)


def test_wrong_settings_of_the_code_are_named_too() -> None:
    assert refused(overrides={"worker": {"slots": 5}}).startswith(
        "config=: there is no setting 'worker.slots'; worker has concurrency, "
    )
    assert "worker.concurrency = 0 is wrong" in refused(
        overrides=Settings(worker=WorkerSettings(concurrency=0))
    )


def test_an_engine_takes_its_settings_from_all_of_them(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "aiojobs.toml").write_text(
        "url = 'sqlite:///file.db'\n[worker]\nconcurrency = 5", encoding="utf-8"
    )
    assert Engine().settings.url == "sqlite:///file.db"
    assert Engine("memory://").settings.worker.concurrency == 5
    assert Engine(config={"url": "memory://"}).settings.url == "memory://"
    assert Engine(config=Settings(url="memory://")).settings == Settings(url="memory://")
    assert Engine.from_config("aiojobs.toml").settings.url == "sqlite:///file.db"

    monkeypatch.setenv("AIOJOBS_URL", "sqlite:///environment.db")
    assert Engine().settings.url == "sqlite:///environment.db"
    assert Engine("memory://").settings.url == "memory://"


def test_an_engine_without_anything_has_a_file_here() -> None:
    assert Engine().settings.url == "sqlite:///aiojobs.db"
