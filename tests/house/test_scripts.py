"""The house rules for Lua on the repository, and each of them on a violation planted for it."""

import re

import pytest

from tests.house import scripts as rules
from tests.house.tree import Rule, Source, sources
from tests.servers.fixtures import documented_rule
from tests.servers.server import Server

SCRIPTS = sources(f"{rules.FOLDER}lua/", ".lua")
CODE = sources(rules.FOLDER, ".py")
(EXAMINER,) = sources(f"{rules.FOLDER}examiner.py")
HEAD = "#!lua\n--[[ Does it.\n\nUses base.\nRequest  what\nReturns  nothing\n]]\n"

OF_SCRIPTS: list[Rule] = [rules.headless, rules.mute_request, rules.wrong_numbers]
PLANTED: list[tuple[Rule, str]] = [
    (rules.headless, "return 1\n"),
    (rules.headless, HEAD.replace("#!lua", "#!lua flags=allow-stale")),
    (rules.headless, HEAD.replace("Returns  nothing\n", "")),
    (rules.mute_request, HEAD + "return 1\n"),
    (rules.mute_request, HEAD.replace("Request  what\n", "") + "return request[1]\n"),
    (rules.wrong_numbers, HEAD + "return KEYS[2]\n"),
]


def _planted(text: str, name: str = "lua/it.lua") -> Source:
    return Source(rules.FOLDER + name, text)


@pytest.mark.parametrize("rule", OF_SCRIPTS, ids=lambda rule: rule.__name__)
def test_scripts_keep_the_rule(rule: Rule) -> None:
    assert len(SCRIPTS) > 20
    assert [finding for source in SCRIPTS for finding in rule(source)] == []


@pytest.mark.parametrize("rule, text", PLANTED)
def test_a_planted_violation_is_found(rule: Rule, text: str) -> None:
    assert list(rule(_planted(text))) != []


def test_a_harmless_script_passes() -> None:
    source = _planted(HEAD + "return request[1]\n")

    assert [finding for rule in OF_SCRIPTS for finding in rule(source)] == []


def test_every_script_is_run_and_every_part_used() -> None:
    assert list(rules.lost_files(SCRIPTS, CODE)) == []


def test_a_lost_script_and_a_wrong_name_would_be_found() -> None:
    code = [Source("a.py", 'home.run("gone", 1)')]

    assert list(rules.lost_files([_planted(HEAD)], code)) == [
        "it: nothing names this file",
        "gone: there is no such file",
        "shared/base: there is no such file",
    ]


def test_the_rule_of_access_in_the_docs_has_the_commands_that_are_sent_and_no_other() -> None:
    allowed = {word.removeprefix("+") for word in documented_rule() if word.startswith("+")}
    scanning = {word.removeprefix("+") for word in documented_rule("acl-doctor")}

    assert allowed == rules.commands(SCRIPTS, CODE) - scanning
    assert scanning == {name.lower() for name in re.findall(r'"([A-Z]*SCAN)"', EXAMINER.text)}


def test_the_page_of_keys_has_every_key_and_no_other() -> None:
    (page,) = sources(f"{rules.FOLDER}keys.py")

    assert list(rules.unknown_keys(SCRIPTS, page)) == []
    assert list(rules.unknown_keys([_planted("redis.call('GET', P .. 'more')")], page))


def test_every_script_compiles_on_every_server(servers: dict[str, Server]) -> None:
    from aiojobs_engine.backends.redis.script import load

    for server in servers.values():
        for source in SCRIPTS:
            if "/shared/" not in source.path:
                script = load(source.path.rpartition("/")[2].removesuffix(".lua"))
                assert server.run("SCRIPT", "LOAD", script.source).decode() == script.digest
