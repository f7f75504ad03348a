"""What must not be shown: secrets in text and in data, found by their form or by the key they stand under.

Everything that leaves the engine for people passes here once: the text of errors where it is stored, payloads
and results where they are shown. What jobs run with is never changed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import msgspec

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.secret import WIRE_KEY, is_secret

MASK = "***"
"""What stands in the place of a secret."""

TEXT_CHARS = 64 * 1024
"""How much of a text is shown at most: of a longer one the middle is cut away."""

DEPTH = 16
ITEMS = 10_000

_CUT = "\n... cut ...\n"
_TOO_DEEP = "... nested too deep"
_MARGIN = 4 * 1024
"""Beside a cut half a secret may stand, which has no form any more."""

_HALF_KEY = re.compile(r"\A(?:(?!-----BEGIN)[\s\S])*?PRIVATE KEY(?: BLOCK)?-----")
_TEXT_WEIGHT = 256
_SHORT_TOKEN = 8
_LONG_TOKEN = 24

_NAMES = (
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "api[_-]?key",
    "access[_-]?key", "private[_-]?key", "signing[_-]?key", "encryption[_-]?key", "account[_-]?key",
    "(?:db|user|smtp|mail|redis|pg|mysql|admin|root|ftp|proxy|service)[_-]?pass", "amz-signature",
    "access[_-]?signature", "credential",
    "authorization", "cookie", "connection[_-]?string", "session[_-]?(?:id|key)", "card[_-]?number",
)  # fmt: skip
_NAME_HINTS = (
    "pass", "pwd", "secret", "signature", "token", "key", "credential", "authorization",
    "cookie", "connectionstring", "connection_string", "connection-string", "session", "card", "cvv", "cvc",
    "ssn", "otp",
)  # fmt: skip
_WORDS = ("cvv", "cvc", "ssn", "otp")
_WHOLE = frozenset({"auth", "pin", "jwt", "bearer"})

_JOINTS = (":", "=", "%3", "--", "</", "',", '",')

_QUOTE = re.compile(r"""\\*["']""")
_COUNT = re.compile(r"\d{1,12}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_HARMLESS = frozenset({"None", "null", "True", "true", "False", "false", MASK})

_VALUE = r"""
    (?P<value>
        [bBrRuU]?"{3}[\s\S]*?(?:"{3}|\Z)
      | [bBrRuU]?"(?:\\.|[^"\\])*"?
      | [bBrRuU]?'(?:\\.|[^'\\])*'?
      | \\+["'](?:(?!\\+["'])[\s\S])*(?:\\+["'])?
      | [\[{(][^\]})]*[\]})]?
      | [^\s,;&"'\\][^\s,;&]*
    )
"""
_PAIRED = r"""(?P<second>[bB]?\\*["'])(?:(?!\\*["'])[\s\S])*"""
_SEPARATOR = r"""(?:\\*["'])?\]?[ \t]*(?:=>|[:=]|%3[AaDd])[ \t]*"""


@dataclass(frozen=True, slots=True)
class _Form:
    """One form of a secret: it is looked for where one of `hints` occurs, and `replace` masks a match."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replace: Callable[[re.Match[str]], str] | str


def _form(hints: Sequence[str], pattern: str, replace: str | Callable[[re.Match[str]], str] = MASK) -> _Form:
    return _Form(tuple(hints), re.compile(pattern, re.VERBOSE), replace)


def _occurs(hints: Sequence[str], text: str) -> bool:
    for hint in hints:  # noqa: SIM110 - each error is asked for all of them, and a generator costs twice as much
        if hint in text:
            return True
    return False


def _masked_token(match: re.Match[str]) -> str:
    token = match["token"]
    letters = token.isalpha() and (token.islower() or token.istitle() or token.isupper())
    is_word = len(token) < _SHORT_TOKEN or (letters and len(token) < _LONG_TOKEN)
    return match[0] if is_word else f"{match['scheme']}{MASK}"


_KEY_PREFIXES = (
    "AKIA", "ASIA", "AGPA", "AIDA", "AROA", "ANPA", "ANVA", "AIPA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "github_pat_", "xox", "xapp-", "k_live_", "k_test_", "whsec_", "sk-", "AIza", "glpat-", "npm_", "SG.",
    "pypi-", "hf_", "dckr_pat_", "dop_v1_", "shpat_", "hvs.", "ya29.",
)  # fmt: skip

_FORMS = (
    _form(
        ("PRIVATE KEY",),
        r"""-----BEGIN[ ](?:[A-Z0-9]+[ ])*PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
            [\s\S]*?(?:-----END[ ](?:[A-Z0-9]+[ ])*PRIVATE[ ]KEY(?:[ ]BLOCK)?-----|\Z)""",
    ),
    _form(
        ("eyJ",),
        r"(?<![\w-])eyJ[\w-]{8,}(?:(?:\\n|\r?\n)[\w-]+){0,6}\.(?:[\w.-]|(?:\\n|\r?\n)(?=[\w-]{16}))*",
    ),
    _form(
        ("://",),
        r"""(?P<user>://(?:[^\s/:@?\#"'<>]+:(?!\d{1,5}(?:[/?\#\s"'<>]|[,;)\]](?![^\s/?\#"'<>]*@)|\Z))|:))
            (?:[^\s/?\#"'<>,;]*@|[^\s/?\#"'<>]*@|(?:(?!://)[^\s"'<>])+?@)""",
        rf"\g<user>{MASK}@",
    ),
    _form(("://",), r"(?<=://)[^\s/:@?\#\"'<>]{20,}(?=@)"),
    _form(
        ("%3A%2F%2F", "%3a%2f%2f"),
        r"(?P<user>(?i:%3A%2F%2F(?:(?!%3A|%40|%2F)\S)*%3A))(?:(?!%3[Aa]%2[Ff]%2[Ff])\S)+?%40",
        rf"\g<user>{MASK}%40",
    ),
    _form(("hooks.slack.com/",), r"(?<=hooks\.slack\.com/)\w+/[\w/-]+"),
    _form(("/api/webhooks/",), r"(?<=/api/webhooks/)\d+/[\w-]+"),
    _form(("api.telegram.org/bot",), r"(?<=api\.telegram\.org/bot)\d+:[\w-]+"),
    _form(
        ("earer", "EARER", "asic ", "ASIC "),
        r"(?P<scheme>(?<![\w-])(?i:bearer|basic)\s+)(?P<token>[\w.~+/-]+=*)",
        _masked_token,
    ),
    _form(
        _KEY_PREFIXES,
        r"""(?<![A-Za-z0-9])(?:
            (?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA)[A-Z0-9]{16}(?![A-Za-z0-9])
          | gh[pousr]_[A-Za-z0-9]{30,} | github_pat_\w{22,}
          | xox[a-z]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{10,}
          | (?:sk|pk|rk)_(?:live|test)_\w{10,} | whsec_[\w+/]{16,}=*
          | sk-[\w-]{20,} | AIza[\w-]{35} | glpat-[\w-]{20,} | npm_[A-Za-z0-9]{36}
          | SG\.[\w-]{16,}\.[\w-]{16,} | pypi-[\w-]{50,} | hf_[A-Za-z0-9]{30,}
          | dckr_pat_[\w-]{20,} | dop_v1_[0-9a-f]{32,} | shpat_[0-9a-fA-F]{32} | (?:hvs|ya29)\.[\w-]{20,})""",
    ),
)


class Masker:
    """Masks secrets in text and data; safe to share, without state but a cache of keys."""

    def __init__(self, keys: Sequence[str] = (), patterns: Sequence[str] = ()) -> None:
        """Know `keys`, whatever their case and joints, and `patterns` beside the built-in ones.

        Raises:
            ConfigError: a key has no letters, or a pattern is no regular expression.
        """
        own = [_own_key(key) for key in keys]
        names = "|".join([*(rf"{name}s?" for name in _NAMES), *(rf"(?<![a-z]){name}" for name in _WORDS)])
        if own:
            names += "|" + "|".join(rf"(?<![a-z0-9]){name}(?![a-z0-9])" for name in own)
        self._is_secret_name = re.compile(rf"(?:{names})(?![a-z])").search
        self._forms = (*_FORMS, *_own_patterns(patterns))
        self._named = re.compile(
            rf"""(?:(?P<header>(?i:authorization|cookie)s?{_SEPARATOR})(?P<line>[^\s"'\\](?:[^\r\n"']|(?<==)["'][^\r\n"']*["']?)*)
                 | (?P<name>(?i:{names})(?:[_-]\w{{1,20}})?{_SEPARATOR}){_VALUE}
                 | (?P<pair>\([bB]?\\*["'][\w-]{{0,20}}(?i:{names})\\*["'],[ \t]*){_PAIRED}
                 | (?P<tag><[\w:-]{{0,20}}(?i:{names})>)[^<]+
                 | (?P<flag>(?<![\w-])--[\w-]{{0,20}}(?i:{names})[ ]+)(?P<argument>[^\s-]\S*))""",
            re.VERBOSE,
        )
        self._name_hints = (*_NAME_HINTS, *map(_hint, keys))
        self._is_secret_key = lru_cache(4096)(self._has_secret_name)

    def text(self, text: str) -> str:
        """`text` with secrets masked, without its middle when it is very long; again it changes nothing."""
        if len(text) > TEXT_CHARS:
            head, tail = text[: TEXT_CHARS // 2], text[-TEXT_CHARS // 2 :]
            whole = _HALF_KEY.sub(MASK, tail)
            shown = self.text(whole)[_MARGIN:] if whole is tail else self.text(whole)
            return f"{self.text(head)[:-_MARGIN]}{_CUT}{shown}"
        for form in self._forms:
            if not form.hints or _occurs(form.hints, text):
                text = form.pattern.sub(form.replace, text)
        if _occurs(_JOINTS, text):
            lowered = text.lower()
            if _occurs(self._name_hints, lowered):
                text = self._named.sub(_masked_value, text)
        return text

    def data(self, value: object, *, depth: int = DEPTH, items: int = ITEMS) -> Any:
        """`value` as plain JSON data with secrets masked, down to `depth` levels and about `items` values.

        Everything under a key that names a secret is masked whole; secrets of a known form are masked
        wherever they stand, keys included. Structs, dataclasses and models become mappings.
        """
        try:
            plain = msgspec.to_builtins(value, enc_hook=_plain_other, str_keys=True)
        except (TypeError, ValueError, RecursionError):
            return f"<{type(value).__qualname__}>"
        return self._masked(plain, depth, [items])

    def encoded(self, body: bytes | msgspec.Raw, *, depth: int = DEPTH, items: int = ITEMS) -> Any:
        """JSON text as masked plain data; None for empty text, the mask for what is no JSON."""
        if not bytes(body):
            return None
        try:
            decoded = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return MASK
        return self._masked(decoded, depth, [items])

    def _has_secret_name(self, key: str) -> bool:
        name = _CAMEL.sub("_", key).lower()
        return name in _WHOLE or self._is_secret_name(name) is not None

    def _masked(self, value: Any, depth: int, left: list[int]) -> Any:
        left[0] -= 1
        match value:
            case str():
                left[0] -= len(value) // _TEXT_WEIGHT
                return self.text(value)
            case dict():
                return self._masked_mapping(cast("dict[str, Any]", value), depth, left)
            case list():
                return self._masked_list(cast("list[object]", value), depth, left)
            case _:
                return value

    def _masked_mapping(self, value: dict[str, Any], depth: int, left: list[int]) -> Any:
        if WIRE_KEY in value:
            return MASK
        if not depth:
            return _TOO_DEEP
        masked: dict[str, Any] = {}
        for key, inner in value.items():
            if left[0] <= 0:
                masked["..."] = f"{len(value) - len(masked):,} more"
                break
            masked[self.text(key)] = MASK if self._hides(key, inner) else self._masked(inner, depth - 1, left)
        return masked

    def _masked_list(self, value: list[object], depth: int, left: list[int]) -> Any:
        if not depth:
            return _TOO_DEEP
        masked: list[Any] = []
        for inner in value:
            if left[0] <= 0:
                masked.append(f"... {len(value) - len(masked):,} more")
                break
            masked.append(self._masked(inner, depth - 1, left))
        return masked

    def _hides(self, key: str, value: object) -> bool:
        if value is None or isinstance(value, bool) or not self._is_secret_key(key):
            return False
        return not (isinstance(value, int | float) and "token" in key.lower())


@lru_cache(64)
def masker_of(keys: tuple[str, ...] = (), patterns: tuple[str, ...] = ()) -> Masker:
    """The masker of these settings, made once."""
    return Masker(keys, patterns)


def redacted(text: str) -> str:
    """`text`, such as a URL, masked by the built-in rules."""
    return masker_of().text(text)


def _masked_value(match: re.Match[str]) -> str:
    if (header := match["header"]) is not None:
        return f"{header}{MASK}"
    if (flag := match["flag"] or match["tag"]) is not None:
        return f"{flag}{MASK}"
    if (pair := match["pair"]) is not None:
        return f"{pair}{match['second']}{MASK}"
    name, value = match["name"], match["value"]
    bare = value.rstrip(")]}.")
    if not bare or bare in _HARMLESS:
        return match[0]
    if "token" in name.lower() and _COUNT.fullmatch(bare):
        return match[0]
    quote = _QUOTE.match(value)
    return f"{name}{quote[0]}{MASK}{quote[0]}" if quote else f"{name}{MASK}"


def _plain_other(value: object) -> object:
    if is_secret(value):
        return MASK
    if hasattr(value, "model_dump"):
        return cast("Any", value).model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): inner for key, inner in cast("Mapping[object, object]", value).items()}
    return f"<{type(value).__qualname__}>"


def _own_key(key: str) -> str:
    words = re.findall(r"[a-z0-9]+", _CAMEL.sub("_", key).lower())
    if not words:
        raise ConfigError(f"masking.keys: {key!r:.80} has neither letters nor digits")
    return "[_-]?".join(words)


def _hint(key: str) -> str:
    words: list[str] = re.findall(r"[a-z0-9]+", _CAMEL.sub("_", key).lower())
    return max(words, key=len)


def _own_patterns(patterns: Sequence[str]) -> list[_Form]:
    forms: list[_Form] = []
    for pattern in patterns:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ConfigError(
                f"masking.patterns: {pattern!r:.80} is no regular expression: {error}"
            ) from error
        if compiled.match(""):
            raise ConfigError(
                f"masking.patterns: {pattern!r:.80} matches the empty text, so it masks nothing"
            )
        forms.append(_Form((), compiled, MASK))
    return forms
