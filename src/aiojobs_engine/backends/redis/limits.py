"""The Redis store: limits."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.redis.home import instant
from aiojobs_engine.backends.redis.keys import CODES, LANE_CHARS, Lane
from aiojobs_engine.backends.redis.part import Part
from aiojobs_engine.backends.redis.rows import encode
from aiojobs_engine.core.gates import Group, Limit
from aiojobs_engine.core.rates import RateState, room
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.flow import LimitRecord

_RUNNING = str(CODES[Status.PROCESSING]).encode()

_lane = msgspec.json.Decoder(Lane).decode
_limit = msgspec.json.Decoder(Limit).decode
_state = msgspec.msgpack.Decoder(RateState).decode


class RedisLimits(Part):
    """`FlowStore` of the Redis store; what each verb means stands in the port."""

    async def set_limits(self, limits: Sequence[Limit]) -> None:
        """Store limits; an empty one removes that of its group and origin."""
        if limits:
            await self._home.write("set_limits", [(_name(each), _encoded(each)) for each in limits])

    async def limits(self) -> list[LimitRecord]:
        """All limits as they stand."""
        now, stored, lanes, tally, rates = await self._home.run("limits")
        running = _running({name: _lane(text) for name, text in _pairs(lanes)}, tally)
        states = {name.decode(): _state(state) for name, state in _pairs(rates)}
        limits = [_limit(text) for _, text in _pairs(stored)]
        named = {(limit.group, limit.origin) for limit in limits}
        return [
            LimitRecord(
                limit=limit,
                in_force=limit.origin != "code" or (limit.group, "desk") not in named,
                running=running[Group(limit.queue, limit.type)],
                room=None
                if limit.rate is None or limit.by_key
                else room(limit.rate, states.get(f"{limit.queue} {limit.type}") or RateState(), instant(now)),
            )
            for limit in sorted(limits, key=lambda limit: (limit.group, limit.origin))
        ]


def _pairs(words: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(words[::2], words[1::2], strict=True))


def _name(limit: Limit) -> str:
    return f"{limit.queue} {limit.type} {limit.by_key:d} {limit.origin}"


def _encoded(limit: Limit) -> str | bool:
    return False if limit.is_empty else encode(limit).decode()


def _running(lanes: dict[bytes, Lane], tally: Sequence[bytes]) -> Counter[Group]:
    counts: Counter[Group] = Counter()
    for field, number in _pairs(tally):
        if field[LANE_CHARS:] == _RUNNING:
            lane = lanes[field[:LANE_CHARS]]
            counts[Group(lane.queue)] += int(number)
            counts[Group(lane.queue, lane.type)] += int(number)
    return counts
