"""Lua files, loaded once, and the calls of them."""

import re
from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

Argument = bytes | str | int | float


class Script(NamedTuple):
    """A Lua file, and the digest by which servers know it."""

    name: str
    source: bytes
    digest: str


class Call(NamedTuple):
    """One run of a script. All keys share one hash tag."""

    script: Script
    keys: Sequence[bytes | str]
    args: Sequence[Argument] = ()


class Command(NamedTuple):
    """One command; `key` tells where it runs, None is any server."""

    words: Sequence[Argument]
    key: bytes | str | None = None


Request = Call | Command

_GUARD = b":guard"
_USES = re.compile(r"^Uses ([a-z, ]+?)(?:, then ([a-z, ]+))?\.$", re.MULTILINE)
_THEN = "\n-- then, with all parts:\n"


@cache
def load(name: str) -> Script:
    """The script in `lua/<name>.lua`, with the shared parts that its head says it uses.

    They are put before it; those after the word *then* go where its own text says so, as most calls end
    before that line and parts cost time even where nobody needs them.
    """
    folder = files("aiojobs_engine.backends.redis").joinpath("lua")
    first, _, own = folder.joinpath(f"{name}.lua").read_text("utf-8").partition("\n")
    uses = _USES.search(own)
    early, late = ("", "") if uses is None else (_joined(folder, named or "") for named in uses.groups())
    return script_of(name, "\n".join((first, early, own.replace(_THEN, f"\n{late}\n"))).encode())


def _joined(folder: Traversable, named: str) -> str:
    parts = [name for name in named.split(", ") if name]
    return "\n".join(folder.joinpath("shared", f"{part}.lua").read_text("utf-8") for part in parts)


def script_of(name: str, source: bytes) -> Script:
    """A script of this source; the server's own digest is SHA-1, which here guards nothing."""
    return Script(name, source, sha1(source, usedforsecurity=False).hexdigest())


def words_of(request: Request, *, in_full: bool, is_guarded: bool = False) -> tuple[Argument, ...]:
    """The command that is sent; `in_full` brings the source along, for a server that doesn't have it.

    A script that `is_guarded` names one more key, which never exists. While a slot of a Cluster moves,
    servers refuse what names a key that they lack beside one that they have, so that no script sees half of
    its keys.
    """
    if isinstance(request, Command):
        return tuple(request.words)
    script, keys, args = request
    if not in_full:
        return words_of_call(script, keys, args, is_guarded=is_guarded)
    keys = _guarded(keys) if is_guarded else keys
    return ("EVAL", script.source, len(keys), *keys, *args)


def words_of_call(
    script: Script, keys: Sequence[bytes | str], args: Sequence[Argument], *, is_guarded: bool
) -> tuple[Argument, ...]:
    """The command that runs a script which the server has."""
    keys = _guarded(keys) if is_guarded else keys
    return ("EVALSHA", script.digest, len(keys), *keys, *args)


def _guarded(keys: Sequence[bytes | str]) -> Sequence[bytes | str]:
    if not keys:
        return keys
    first = keys[0]
    return (*keys, (first.encode() if isinstance(first, str) else first) + _GUARD)


def key_of(request: Request) -> bytes | str | None:
    """The key that decides where it runs."""
    if isinstance(request, Command):
        return request.key
    return request.keys[0] if request.keys else None
