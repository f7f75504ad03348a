"""House rules for Lua: heads tell all, names lead somewhere, commands and keys are the documented ones."""

import re
from collections.abc import Iterable, Iterator

from tests.house.tree import Source

FOLDER = "src/aiojobs_engine/backends/redis/"

_HEAD = re.compile(
    r"#!lua(?: flags=(?:allow-oom|no-writes))?\n"
    r"--\[\[ [A-Z][^\n]*\.\n\n"
    r"Uses (?P<uses>[a-z, ]+)\.\n"
    r"(?P<request>Request  [^\n]+\n(?:[^\n]+\n)*?)?"
    r"Returns  (?:[^\n]+\n)+?"
    r"(?:[^\n]+\n)*\]\]\n"
)
_SHARED_HEAD = re.compile(r"--\[\[ [A-Z]")
_COMMAND = re.compile(r"(?:redis\.p?call|send|fetch)\('([A-Z]+)'(?:, '([A-Z]+)')?")
_SENT = re.compile(r'(?:command|everywhere|push|Command)\(+"([A-Z]+)"|\("([A-Z]+)"(?:, "([A-Z]+)")?[,)]')
_CONTAINERS = frozenset({"CLUSTER", "PUBSUB"})
_KEY = re.compile(r"P \.\. '([a-z]+)(:?)'")
_NUMBERED = re.compile(r"\b(KEYS|ARGV)\[(\d+)\]")
_LISTED = re.compile(r"^(?:(KEYS|ARGV)  |      )(\d+) ", re.MULTILINE)
_CALLED = re.compile(r'(?:\.run|\.write|load)\(\s*"([a-z_]+)"|\(\("([a-z_]+)",')
_WORD = re.compile(r'"([a-z_]+)"')
_PAGE_KEY = re.compile(r"^    aiojobs:\{\*\}:([a-z]+)", re.MULTILINE)
_CHANNEL = re.compile(r"`…:([a-z]+)`")


def headless(source: Source) -> Iterator[str]:
    """A file without its contract on top."""
    head = _SHARED_HEAD if "/shared/" in source.path else _HEAD
    if not head.match(source.text):
        yield f"{source.path}: begins without a head of the house's form"


def mute_request(source: Source) -> Iterator[str]:
    """A script that reads a request and says nothing of it, or the other way round."""
    if "/shared/" in source.path:
        return
    head, _, body = source.text.partition("]]\n")
    if ("\nRequest  " in head) != bool(re.search(r"\brequest\b", body)):
        yield f"{source.path}: its head and its code disagree about the request"


def wrong_numbers(source: Source) -> Iterator[str]:
    """Keys and arguments that the head doesn't number."""
    head, _, body = source.text.partition("]]\n")
    kind, highest = "", {"KEYS": 0, "ARGV": 0}
    for name, number in _LISTED.findall(head):
        kind = name or kind
        if kind:
            highest[kind] = int(number)
    for name, number in _NUMBERED.findall(body):
        if "/shared/base" not in source.path or int(number) > highest[name]:
            yield f"{source.path}: {name}[{number}] is not in its head"


def lost_files(scripts: Iterable[Source], code: Iterable[Source]) -> Iterator[str]:
    """Scripts that nothing runs, parts that nothing uses, names of neither."""
    paths = {source.path.removeprefix(f"{FOLDER}lua/").removesuffix(".lua") for source in scripts}
    code = list(code)
    called = {name for source in code for pair in _CALLED.findall(source.text) for name in pair if name}
    said = {word for source in code for word in _WORD.findall(source.text)}
    used = {f"shared/{part}" for source in scripts for part in _uses(source)}
    for name in sorted(paths - said - used):
        yield f"{name}: nothing names this file"
    for name in sorted((called | used) - paths):
        yield f"{name}: there is no such file"


def _uses(source: Source) -> list[str]:
    found = _HEAD.match(source.text)
    return found["uses"].replace(", then ", ", ").split(", ") if found else []


def commands(scripts: Iterable[Source], code: Iterable[Source]) -> set[str]:
    """The commands that scripts and code send, in lower case as rules of access write them."""
    sent = {pair for source in scripts for pair in _COMMAND.findall(source.text)}
    sent |= {(alone or name, word) for source in code for alone, name, word in _SENT.findall(source.text)}
    return {(f"{name}|{word}" if name in _CONTAINERS else name).lower() for name, word in sent}


def unknown_keys(scripts: Iterable[Source], page: Source) -> Iterator[str]:
    """Keys and channels that the page of keys doesn't have, and the other way round."""
    named = {name for source in scripts for name, _ in _KEY.findall(source.text)} | {"meta"}
    listed = {*_PAGE_KEY.findall(page.text), *_CHANNEL.findall(page.text)}
    for name in sorted(named ^ listed):
        where = "the page of keys" if name in named else "no script"
        yield f"{name}: {'not on' if name in named else 'named by'} {where}"
