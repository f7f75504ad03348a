"""The house rules on the repository, and each of them on a violation planted for it."""

import pytest

from tests.house import rules
from tests.house.tree import Rule, Source, sources

OF_SRC: list[Rule] = [
    rules.long_file,
    rules.long_function,
    rules.undocumented,
    rules.left_open,
    rules.bare_except,
    rules.sql_in_code,
]
OF_TESTS: list[Rule] = [rules.doubled_test, rules.asserts_nothing]

DOC = '"""What it is."""\n'
PLANTED: list[tuple[Rule, str]] = [
    (rules.long_file, "x = 1\n" * 401),
    (rules.long_function, "def f():\n" + "    x = 1\n" * 60),
    (rules.long_function, "class A:\n    async def f(self):\n" + "        x = 1\n" * 60),
    (rules.undocumented, "x = 1\n"),
    (rules.undocumented, DOC + "def f(): ...\n"),
    (rules.undocumented, DOC + "class A: ...\n"),
    (rules.undocumented, DOC + "class A:\n    'A.'\n    async def f(self): ...\n"),
    (rules.left_open, "x = 1  # TO" + "DO later\n"),
    (rules.left_open, "raise NotImplemented" + "Error\n"),
    (rules.bare_except, "try:\n    f()\nexcept:\n    g()\n"),
    (rules.sleeping, "await asyncio.sl" + "eep(0.1)\n"),
    (rules.sleeping, "time.sl" + "eep(1)\n"),
    (rules.sleeping, "sleep(delay)\n"),
    (rules.machine_path, "see /wo" + "rk/main\n"),
    (rules.machine_path, "--index-url https://pypi" + ".org/simple\n"),
    (rules.sql_in_code, "x = 'SELECT id FROM job'\n"),
    (rules.sql_in_code, "x = 'select id\\nfrom job'\n"),
    (rules.sql_in_code, "db.execute(f'DELETE FROM {table}')\n"),
    (rules.sql_in_code, "x = 'INSERT OR IGNORE INTO job VALUES (?)'\n"),
    (rules.sql_in_code, "x = 'UPDATE job SET status = 1'\n"),
    (rules.sql_in_code, "x = 'WITH due AS (SELECT 1) SELECT 2'\n"),
    (rules.sql_in_code, "x = 'CREATE UNIQUE INDEX a ON b (c)'\n"),
    (rules.doubled_test, "def test_a(): ...\ndef test_a(): ...\n"),
    (rules.doubled_test, "class TestA:\n    def test_a(self): ...\n    def test_a(self): ...\n"),
    (rules.asserts_nothing, "async def test_a():\n    await run()\n"),
]
HARMLESS: list[tuple[Rule, str]] = [
    (rules.long_file, "x = 1\n" * 400),
    (rules.long_function, "def f():\n" + "    x = 1\n" * 59),
    (rules.undocumented, ""),
    (rules.undocumented, DOC + "def _f(): ...\nclass _A:\n    def f(self): ...\n"),
    (rules.undocumented, DOC + "@overload\ndef f(): ...\n"),
    (rules.undocumented, DOC + "def f():\n    'It.'\n    def inner(): ...\n"),
    (rules.undocumented, DOC + "class A:\n    'A.'\n    async def test_a_law(self): ...\n"),
    (rules.bare_except, "try:\n    f()\nexcept OSError:\n    g()\n"),
    (rules.sleeping, "await asyncio.sleep(0)\nawait clock.sleep(60)\nawait self.clock.sleep(60)\n"),
    (rules.sql_in_code, "'''SELECT a FROM b: what it does.'''\n"),
    (rules.sql_in_code, "db.execute('BEGIN IMMEDIATE')\ndb.execute('PRAGMA data_version')\n"),
    (rules.sql_in_code, "x = 'select a queue'\ny = 'update the settings'\n"),
    (
        rules.doubled_test,
        "class TestA:\n    def test_a(self): ...\nclass TestB:\n    def test_a(self): ...\n",
    ),
    (rules.asserts_nothing, "def test_a():\n    with pytest.raises(OSError):\n        f()\n"),
]


def _named(value: object) -> str | None:
    return getattr(value, "__name__", None)


@pytest.mark.parametrize("rule", OF_SRC, ids=_named)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    assert [finding for source in sources("src/", ".py") for finding in rule(source)] == []


@pytest.mark.parametrize("rule", OF_TESTS, ids=_named)
def test_the_tests_keep_the_rule(rule: Rule) -> None:
    assert [finding for source in sources("tests/", ".py") for finding in rule(source)] == []


def test_no_test_sleeps_except_among_the_faults() -> None:
    tests = [source for source in sources("tests/", ".py") if not source.path.startswith("tests/faults/")]

    assert [finding for source in tests for finding in rules.sleeping(source)] == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    assert [finding for source in sources() for finding in rules.machine_path(source)] == []


def test_sql_files_and_the_code_that_names_them_agree() -> None:
    folder = "src/aiojobs_engine/backends/sqlite/"

    assert list(rules.sql_files(sources(f"{folder}sql/", ".sql"), sources(folder, ".py"))) == []


@pytest.mark.parametrize("code", ["x = 'claim'\n", "x = 'claim.sql'\n", "x = 'sql/claim.sql'\n"])
def test_a_statement_that_the_code_names_is_fine(code: str) -> None:
    claim = Source("src/sql/claim.sql", "")

    assert list(rules.sql_files([claim], [Source("a.py", code)])) == []


@pytest.mark.parametrize("code", ["claim = 1\n", "x = ['claim', 'settle.sql']\n"])
def test_a_statement_that_nothing_names_or_that_is_not_there_is_found(code: str) -> None:
    claim = Source("src/sql/claim.sql", "")

    assert len(list(rules.sql_files([claim], [Source("a.py", code)]))) == 1


@pytest.mark.parametrize("rule, text", PLANTED, ids=_named)
def test_a_planted_violation_is_found(rule: Rule, text: str) -> None:
    assert len(list(rule(Source("planted.py", text)))) == 1


@pytest.mark.parametrize("rule, text", HARMLESS, ids=_named)
def test_what_is_allowed_is_not_found(rule: Rule, text: str) -> None:
    assert list(rule(Source("harmless.py", text))) == []


def test_the_rules_read_the_files_that_are_there() -> None:
    paths = [source.path for source in sources()]

    assert "tests/house/test_rules.py" in paths
    assert "pyproject.toml" in paths
    assert not [path for path in paths if path.startswith((".venv/", ".git/"))]
