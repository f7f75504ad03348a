"""What holds for all tests: under AIOJOBS_CI=1 a skipped test fails the run."""

import os

import pytest

pytest_plugins = ["tests.servers.fixtures"]


def _skipped(config: pytest.Config) -> list[pytest.TestReport | pytest.CollectReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("skipped", []) if reporter is not None else []


def _skips_fail() -> bool:
    return os.environ.get("AIOJOBS_CI") == "1"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skips_fail() and session.exitstatus == pytest.ExitCode.OK and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _skips_fail() and (skipped := _skipped(config)):
        terminalreporter.section("a skipped test fails this run", red=True)
        for report in skipped:
            terminalreporter.line(report.nodeid)
