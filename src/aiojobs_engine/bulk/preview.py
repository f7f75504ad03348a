"""A look at a source before it is imported: what it is, and which column is which field."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from unicodedata import normalize

import msgspec

from aiojobs_engine.bulk.sources.opening import Found

SURE = 0.8
"""From this confidence on a guess is worth to be taken."""

_SAME_WORD = 0.95
_HELD = 0.85
_LEAST = 0.6
_LEAST_LETTERS = 3


class Guess(msgspec.Struct, frozen=True):
    """A column that may be a field; `confidence` is 1 for the same name, and above 0.6 for others."""

    column: str
    field: str
    confidence: float


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a source was taken for, and how its columns fit the row type.

    Attributes:
        guesses: at most one for each column and each field, in the order of the columns.
        missing: required fields that no column is, or may be.
        unused: columns that are, and may be, no field.
    """

    found: Found
    guesses: tuple[Guess, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def mapping(self) -> dict[str, str]:
        """The `mapping` for a dispatch that the guesses make which are worth to be taken."""
        return {
            guess.column: guess.field
            for guess in self.guesses
            if guess.column != guess.field and guess.confidence >= SURE
        }


def guesses(columns: Sequence[str], fields: Iterable[str]) -> list[Guess]:
    """Which column may be which field; the surest pairs come together first."""
    left = dict.fromkeys(fields)
    found = [Guess(column, column, 1.0) for column in columns if column in left]
    for guess in found:
        del left[guess.field]
    taken = {guess.column for guess in found}
    pairs = [
        Guess(column, field, confidence)
        for column in columns
        if column not in taken
        for field in left
        if (confidence := _likeness(_word(column), _word(field))) >= _LEAST
    ]
    for guess in sorted(pairs, key=lambda pair: -pair.confidence):
        if guess.field in left and guess.column not in taken:
            found.append(guess)
            taken.add(guess.column)
            del left[guess.field]
    places = {column: place for place, column in enumerate(columns)}
    return sorted(found, key=lambda guess: places[guess.column])


def previewed(
    found: Found, fields: Iterable[str], required: Iterable[str], mapping: Mapping[str, str]
) -> Preview:
    """The preview of a source whose columns `mapping` leads to fields already."""
    columns = [column for column in found.columns if column not in mapping]
    known = [field for field in fields if field not in mapping.values()]
    made = guesses(columns, known)
    matched = {guess.field for guess in made}.union(mapping.values())
    used = {guess.column for guess in made}
    return Preview(
        found=found,
        guesses=tuple(made),
        missing=tuple(sorted(set(required).difference(matched))),
        unused=tuple(column for column in columns if column not in used),
    )


def _likeness(column: str, field: str) -> float:
    if not column or not field:
        return 0.0
    if column == field:
        return _SAME_WORD
    shorter, longer = sorted((column, field), key=len)
    if len(shorter) >= _LEAST_LETTERS and (longer.startswith(shorter) or longer.endswith(shorter)):
        return _HELD
    return round(min(SequenceMatcher(None, column, field).ratio(), _HELD), 2)


def _word(name: str) -> str:
    return "".join(letter for letter in normalize("NFKD", name).casefold() if letter.isalnum())
