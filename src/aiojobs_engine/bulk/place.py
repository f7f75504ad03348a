"""How far the runs of a part of an import have come: the cursor of its job."""

import msgspec

from aiojobs_engine.ports.backend import Claim


class Place(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where a run begins, and how.

    Attributes:
        salvage: save what can be saved: rows one by one where they fail together.
        done_to: all rows up to this number are done and counted.
    """

    salvage: bool = False
    done_to: int = 0

    def behind(self, number: int) -> "Place":
        """The place behind a row."""
        return msgspec.structs.replace(self, done_to=number)

    def salvaging(self) -> "Place":
        """The same place, to save what can be saved from there."""
        return msgspec.structs.replace(self, salvage=True)

    def encoded(self) -> bytes:
        """The cursor."""
        return _encoder.encode(self)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Place)
_BEGINNING = Place()


def place_of(claim: Claim) -> Place:
    """The place in the cursor of a job; the beginning, when it has none or its handler's own."""
    try:
        return _decoder.decode(claim.cursor) if claim.cursor else _BEGINNING
    except msgspec.MsgspecError:
        return _BEGINNING
