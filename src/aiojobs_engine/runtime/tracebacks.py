"""What is stored of an exception's way: its frames as Python prints them, from the handler on."""

import traceback
from types import CodeType, TracebackType

_FRAMES = 20
_KNOWN = 1_024
_OWN = __name__.partition(".")[0]

# by the code's address, for its hash reads all of it; the code beside the text keeps the address its own
_texts: dict[tuple[int, int], tuple[CodeType, str]] = {}


def traceback_of(error: BaseException) -> str:
    """The last 20 frames of an exception and of those that it came from, then its message.

    The engine's frames before the handler's are left out. A frame is formatted once: a handler that
    fails a thousand times fails in the same places, and Python parses the source for each of them.
    """
    way = _from_handler(error.__traceback__)
    if error.__cause__ or error.__context__ or issubclass(type(error), BaseExceptionGroup):
        return "".join(traceback.format_exception(type(error), error, way, limit=-_FRAMES))
    return "".join((*_frames(way), *traceback.format_exception_only(error)))


def _from_handler(way: TracebackType | None) -> TracebackType | None:
    step = way
    while step is not None and _is_own(step):
        step = step.tb_next
    return way if step is None else step


def _is_own(step: TracebackType) -> bool:
    module = step.tb_frame.f_globals.get("__name__")
    return isinstance(module, str) and module.partition(".")[0] == _OWN


def _frames(way: TracebackType | None) -> list[str]:
    if way is None:
        return []
    steps = list[TracebackType]()
    while way is not None:
        steps.append(way)
        way = way.tb_next
    return ["Traceback (most recent call last):\n", *map(_text, steps[-_FRAMES:])]


def _text(step: TracebackType) -> str:
    code = step.tb_frame.f_code
    place = id(code), step.tb_lasti
    known = _texts.get(place)
    if known is None:
        if len(_texts) >= _KNOWN:
            _texts.clear()
        known = _texts[place] = code, "".join(traceback.format_tb(step, limit=1))
    return known[1]
