"""A store that fails on cue."""

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiojobs_engine.core.errors import BackendError, BackendUnavailable, did_you_mean
from aiojobs_engine.ports.backend import Store

if TYPE_CHECKING:
    # The type checkers take each verb's signature from a store that has them all; at run time
    # `__getattr__` passes every call on.
    from aiojobs_engine.backends.memory import MemoryBackend as _Verbs
else:
    _Verbs = object


@dataclass(frozen=True, slots=True)
class _Cue:
    error: BackendError
    after: bool


class FaultyBackend(_Verbs):
    """A store around a store. It does what the inner one does, but for the calls that were told to fail.

    A call that fails *after* took effect and lost its answer, which is the case that finds bugs: whoever
    repeats it must get the same answer and change nothing.

    Attributes:
        calls: how often each verb was called, failures included.
    """

    def __init__(self, store: Store) -> None:
        """Pass everything on to `store`, until told otherwise."""
        self.calls: Counter[str] = Counter()
        self._store = store
        self._cues: dict[tuple[str, int], _Cue] = {}

    def fail(
        self,
        verb: str,
        *,
        call: int = 1,
        times: int = 1,
        after: bool = False,
        error: BackendError | None = None,
    ) -> None:
        """Let the `call`-th next call of `verb` fail, and those behind it until `times` have failed.

        Args:
            after: False fails before the store was asked, True once it has done its work.
            error: what is raised; `BackendUnavailable` when left out.

        Raises:
            ValueError: the store has no such verb.
        """
        if verb not in _verbs():
            raise ValueError(f"no verb of a store is named {verb!r}{did_you_mean(verb, _verbs())}")
        word = "after" if after else "before"
        raised = error or BackendUnavailable(f"{verb} failed on cue, {word} it took effect")
        first = self.calls[verb] + call
        for number in range(first, first + times):
            self._cues[verb, number] = _Cue(raised, after)

    @property
    def cues_left(self) -> int:
        """How many calls are still to fail."""
        return len(self._cues)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            passed_on = getattr(self._store, name)
            return self._cued(name, passed_on) if name in _verbs() else passed_on

    def _cued(self, verb: str, passed_on: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **options: Any) -> Any:
            self.calls[verb] += 1
            cue = self._cues.pop((verb, self.calls[verb]), None)
            if cue is not None and not cue.after:
                raise cue.error
            answer = await passed_on(*args, **options)
            if cue is not None:
                raise cue.error
            return answer

        return call


def _verbs() -> list[str]:
    return [
        name for name, _ in inspect.getmembers(Store, inspect.iscoroutinefunction) if not name.startswith("_")
    ]
