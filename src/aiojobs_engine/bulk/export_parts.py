"""Parts of an export as jobs of their own: any worker runs them, and the export waits without lease or slot.

Ids of parts are made from the export's, its epoch, and their number, so an export that was killed while it
stored them stores none twice. When the last part has ended the store makes the export pending again, which
then puts together what the parts made.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from aiojobs_engine.bulk.export_rows import PartState
from aiojobs_engine.bulk.exported import ExportedFile
from aiojobs_engine.bulk.holding import hold_chunks
from aiojobs_engine.bulk.plan import child_envelope
from aiojobs_engine.core.codec import ResultCodec
from aiojobs_engine.core.errors import ExportError, PayloadError
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.ports.backend import Record
from aiojobs_engine.runtime.context import JobContext, StopAtCheckpoint

_A_WRITE = 50
_MARK = b'"#part"'


class PartOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Which part a job makes.

    Attributes:
        export_id: the job that puts the parts together, and owns what they store.
        spec: what the handler finds as `ctx.part`.
    """

    export_id: str
    spec: Any = None


class _Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The payload of a part; the names can be none of arguments."""

    part: PartOrder = msgspec.field(name="#part")
    arguments: msgspec.Raw = msgspec.field(name="#arguments")


class PartCodec(ResultCodec):
    """Encodes the result of an export, its file, and that of a part, what it has stored."""

    def __init__(self) -> None:
        """Take both kinds of results."""
        super().__init__(ExportedFile)

    def encode(self, result: object, limit: int) -> bytes | None:
        """JSON.

        Raises:
            PayloadError: it takes more than `limit` bytes.
        """
        if not isinstance(result, PartState):
            return super().encode(result, limit)
        encoded = msgspec.json.encode(result)
        if len(encoded) > limit:
            raise PayloadError(f"what a part has stored takes {len(encoded):,} bytes, the limit is {limit:,}")
        return encoded

    def decode(self, encoded: bytes | None) -> Any:
        """The file, or what a part has stored.

        Raises:
            PayloadError: it is neither.
        """
        try:
            return super().decode(encoded)
        except PayloadError:
            try:
                return msgspec.json.decode(encoded or b"", type=PartState)
            except msgspec.MsgspecError:
                pass
            raise


def parted(payload: bytes | msgspec.Raw) -> tuple[PartOrder | None, bytes | msgspec.Raw]:
    """Which part a payload is for, None for a whole export; and the arguments of the handler."""
    if _MARK not in bytes(payload):
        return None, payload
    try:
        found = msgspec.json.decode(payload, type=_Payload)
    except msgspec.MsgspecError:
        return None, payload
    return found.part, found.arguments


async def gathered(context: JobContext, parts: Sequence[PartState], turn: int) -> list[PartState] | None:
    """What the parts have stored, None while some are under way; those that no job makes yet get one.

    Args:
        turn: how often parts were begun anew.

    Raises:
        ExportError: a part ended without success.
        LeaseLostError: another worker runs the export now.
        StopAtCheckpoint: the worker stops, or the export is paused; its parts are held then.
    """
    epoch, store = context.claim.epoch, context.engine.store
    numbers = range(turn * len(parts), (turn + 1) * len(parts))
    found = await store.results([f"{context.id}.{epoch}.{number}" for number in numbers])
    results = [result for result in found if result is not None]
    if len(results) < len(parts):
        jobs = zip(numbers, parts, found, strict=True)
        await _spawn(context, [(number, part) for number, part, result in jobs if result is None])
        return None
    if any(result.status not in FINAL for result in results):
        return None
    made: list[PartState] = []
    for part, result in zip(parts, results, strict=True):
        if result.status is not Status.COMPLETED or result.result is None:
            why = f": {result.error.message}" if result.error else ""
            raise ExportError(f"the part {part.spec!r:.80} ended as {result.status}{why}")
        made.append(msgspec.json.decode(result.result, type=PartState))
    return made


async def _spawn(context: JobContext, parts: Sequence[tuple[int, PartState]]) -> None:
    claim, port = context.claim, context.port
    _, arguments = parted(claim.envelope.payload)
    for first in range(0, len(parts), _A_WRITE):
        children = tuple(
            child_envelope(
                claim.envelope,
                _payload(context.id, part.spec, arguments),
                epoch=claim.epoch,
                number=number,
                now=port.now(),
            )
            for number, part in parts[first : first + _A_WRITE]
        )
        await port.record(Record(lease=claim.lease, children=children))
        port.touch(claim)
        if context.stopping:
            break
    if context.pausing:
        await hold_chunks(context.engine.store, context.id)
    if context.stopping:
        raise StopAtCheckpoint


def _payload(export_id: str, spec: Any, arguments: bytes | msgspec.Raw) -> bytes:
    order = PartOrder(export_id=export_id, spec=spec)
    return msgspec.json.encode(_Payload(part=order, arguments=msgspec.Raw(arguments)))
