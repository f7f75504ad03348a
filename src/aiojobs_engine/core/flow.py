"""Jobs that belong together, before they are dispatched: chains, batches, and what follows an end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.needs import BATCH, When


class Step:
    """Something that `engine.dispatch` takes and that others can follow: a job, a chain, a batch."""

    __slots__ = ()

    def __or__(self, following: Step) -> Chain:
        """This, and when it completed the other: `a.job() | b.job() | c.job()`."""
        return Chain((*_steps_of(self), *_steps_of(_checked(following))))

    def then(self, *callbacks: Step) -> Step:
        """This, and each of `callbacks` once it `completed`."""
        return Linked(self, tuple((When.SUCCESS, _checked(callback)) for callback in callbacks))

    def catch(self, *callbacks: Step) -> Step:
        """This, and each of `callbacks` once it ended in any other way."""
        return Linked(self, tuple((When.FAILURE, _checked(callback)) for callback in callbacks))

    def finally_(self, *callbacks: Step) -> Step:
        """This, and each of `callbacks` once it ended, however it did."""
        return Linked(self, tuple((When.END, _checked(callback)) for callback in callbacks))


class Chain(Step):
    """Steps of which each starts when the one before completed; when one doesn't, the rest is cancelled.

    Attributes:
        steps: at least two, in order.
    """

    __slots__ = ("steps",)

    def __init__(self, steps: Sequence[Step]) -> None:
        """Join `steps`."""
        self.steps = tuple(steps)


class Linked(Step):
    """A step with callbacks, all kept. What comes behind it in a chain follows the step, not its callbacks.

    Attributes:
        step: what the callbacks wait for.
        callbacks: each with the end that it waits for.
    """

    __slots__ = ("callbacks", "step")

    def __init__(self, step: Step, callbacks: Sequence[tuple[When, Step]]) -> None:
        """Add callbacks to `step`."""
        self.step: Step = step
        self.callbacks: tuple[tuple[When, Step], ...] = tuple(callbacks)
        if isinstance(step, Linked):
            self.step, self.callbacks = step.step, (*step.callbacks, *callbacks)


class Batch(Step):
    """Steps that are one job for others: with one status, counters of its members, and one end.

    Attributes:
        id: that of the job that stands for the batch; None lets the first dispatch make one.
        type: what that job is listed as.
        members: jobs, chains and batches; all jobs of a chain are members.
        callbacks: what follows, each with the end of the batch that it waits for; none of them is a member.
        options: `queue`, `user_id`, `tags` and `meta` of that job.
    """

    def __init__(
        self,
        members: Iterable[Step] = (),
        *,
        id: str | None = None,
        type: str = BATCH,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Hold `members`; more may come by `add`."""
        self.id = id
        self.type = type
        self.options: Mapping[str, Any] = options or {}
        self.members: list[Step] = []
        self.callbacks: list[tuple[When, Step]] = []
        self.add(*members)

    def add(self, *members: Step) -> Self:
        """Take more members in, before the batch is dispatched; afterwards its handle does.

        Raises:
            ConfigError: one is no job, chain or batch.
        """
        self.members += [_checked(member) for member in members]
        return self

    def then(self, *callbacks: Step) -> Self:
        """Start each of `callbacks` once all members completed."""
        return self._follow(When.SUCCESS, callbacks)

    def catch(self, *callbacks: Step) -> Self:
        """Start each of `callbacks` once a first member ended in any other way."""
        return self._follow(When.FAILURE, callbacks)

    def finally_(self, *callbacks: Step) -> Self:
        """Start each of `callbacks` once all members have ended, however they did."""
        return self._follow(When.END, callbacks)

    def _follow(self, when: When, callbacks: Iterable[Step]) -> Self:
        self.callbacks += [(when, _checked(callback)) for callback in callbacks]
        return self


def group(*members: Step) -> Batch:
    """Run steps side by side, as one step that others can follow.

    `a.job() | group(b.job(), c.job()) | d.job()` starts `d` when `b` and `c` have completed.
    """
    return Batch(members)


def _steps_of(step: Step) -> Sequence[Step]:
    return step.steps if isinstance(step, Chain) else (step,)


def _checked(step: object) -> Step:
    if not isinstance(step, Step):
        hint = "; make a job with handler.job(...)" if callable(step) else ""
        raise ConfigError(f"{step!r:.80} is no job, chain or batch{hint}")
    return step
