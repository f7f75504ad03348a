from collections import Counter

from aiojobs_engine.testing.conformance import BackendContract


def test_no_theme_hides_a_case_of_another() -> None:
    cases = Counter(
        name for theme in BackendContract.__mro__ for name in vars(theme) if name.startswith("test_")
    )

    assert [name for name, times in cases.items() if times > 1] == []


def test_pytest_collects_the_heirs_of_a_theme_and_not_the_theme() -> None:
    assert [theme for theme in BackendContract.__mro__ if theme.__name__.startswith("Test")] == []
