"""Retry policies: after the k-th failure, run again after a delay or give up.

Source of jitter after the fact rather than full jitter: the first retry of a schedule should come near
its base, so that people can predict it; 15 % parts jobs that failed together.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import msgspec

from aiojobs_engine.core.errors import ConfigError

MAX_DELAY = 365 * 86_400.0

ExceptionClasses = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class Requeue:
    """Run again in `delay` seconds, 0 .. 365 days."""

    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt."""

    reason: str = "max_attempts"


Decision = Requeue | GiveUp
CustomPolicy = Callable[[int, BaseException], "Decision | float | None"]


class RetrySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy as data: what configuration files and envelopes hold."""

    policy: Literal["none", "fixed", "exponential"] = "exponential"
    max_attempts: int = 3
    base: float = 2.0
    multiplier: float = 2.0
    cap: float | None = 300.0
    jitter: float = 0.15


class Retry:
    """When a failed job runs again. Make one with `none`, `fixed`, `exponential` or `custom`.

    `on` limits retries to these exception classes, `never_on` excludes classes; both are asked before
    the schedule, `never_on` first. `failures` never counts crashes of workers.
    """

    __slots__ = ("_custom", "never_on", "on", "spec")

    def __init__(
        self,
        spec: RetrySpec,
        *,
        custom: CustomPolicy | None = None,
        on: ExceptionClasses = BaseException,
        never_on: ExceptionClasses = (),
    ) -> None:
        """Take the schedule as data; `custom` overrides it.

        Raises:
            ConfigError: a number is out of range.
        """
        self.spec = _checked(spec)
        self._custom = custom
        self.on = on
        self.never_on = never_on

    @classmethod
    def none(cls) -> "Retry":
        """One attempt, no retry."""
        return cls(RetrySpec(policy="none", max_attempts=1))

    @classmethod
    def fixed(
        cls,
        max_attempts: int,
        delay: float,
        *,
        on: ExceptionClasses = BaseException,
        never_on: ExceptionClasses = (),
    ) -> "Retry":
        """At most `max_attempts` attempts, each `delay` seconds after the last."""
        spec = RetrySpec(policy="fixed", max_attempts=max_attempts, base=delay, cap=None, jitter=0.0)
        return cls(spec, on=on, never_on=never_on)

    @classmethod
    def exponential(
        cls,
        max_attempts: int,
        base: float,
        multiplier: float = 2.0,
        cap: float | None = None,
        jitter: float = 0.15,
        *,
        on: ExceptionClasses = BaseException,
        never_on: ExceptionClasses = (),
    ) -> "Retry":
        """Wait `base * multiplier**(k-1)` s after the k-th failure, jittered by ±`jitter`, then capped."""
        spec = RetrySpec(
            policy="exponential",
            max_attempts=max_attempts,
            base=base,
            multiplier=multiplier,
            cap=cap,
            jitter=jitter,
        )
        return cls(spec, on=on, never_on=never_on)

    @classmethod
    def custom(
        cls,
        decide: CustomPolicy,
        *,
        on: ExceptionClasses = BaseException,
        never_on: ExceptionClasses = (),
    ) -> "Retry":
        """Ask `decide(failures, exception)`: it answers seconds or `Requeue`, or None or `GiveUp` to end.

        A `decide` that raises, or answers something else, gives the job up with the reason `retry_policy`.
        """
        return cls(RetrySpec(), custom=decide, on=on, never_on=never_on)

    @property
    def is_custom(self) -> bool:
        """Whether a callable decides, so that the policy can't travel in an envelope."""
        return self._custom is not None

    def decide(self, failures: int, exception: BaseException, rng: Random | None = None) -> Decision:
        """What follows the `failures`-th failure, at least 1.

        Args:
            rng: the source of jitter; without one the delay is the unjittered one.
        """
        if self.never_on and isinstance(exception, self.never_on):
            return GiveUp("not_retryable")
        if not isinstance(exception, self.on):
            return GiveUp("not_retryable")
        if self._custom is not None:
            return _asked(self._custom, failures, exception)
        if self.spec.policy == "none" or failures >= self.spec.max_attempts:
            return GiveUp()
        return Requeue(self._delay(failures, rng))

    def _delay(self, failures: int, rng: Random | None) -> float:
        spec = self.spec
        delay = spec.base
        if spec.policy == "exponential":
            exponent = min(failures - 1, 1000)
            try:
                delay = spec.base * spec.multiplier**exponent
            except OverflowError:
                delay = MAX_DELAY
            if spec.jitter and rng is not None:
                delay *= 1 + rng.uniform(-spec.jitter, spec.jitter)
        return clamped(delay, MAX_DELAY if spec.cap is None else spec.cap)

    def __eq__(self, other: object) -> bool:
        """Whether both decide alike."""
        return isinstance(other, Retry) and self._facts() == other._facts()

    def __hash__(self) -> int:
        """Agree with `==`."""
        return hash(self._facts())

    def _facts(self) -> tuple[Any, ...]:
        return (self.spec, self._custom, self.on, self.never_on)

    def __repr__(self) -> str:
        """Show the schedule."""
        return f"Retry({self._custom!r})" if self._custom else f"Retry({self.spec!r})"


def clamped(delay: float, cap: float = MAX_DELAY) -> float:
    """`delay` in seconds within 0 .. `cap`; NaN becomes 0, so a broken policy retries at once, not never."""
    return float(min(delay, cap, MAX_DELAY)) if delay > 0 else 0.0


def _asked(custom: CustomPolicy, failures: int, exception: BaseException) -> Decision:
    try:
        return _decision(custom(failures, exception))
    except BaseException:  # noqa: BLE001 - the user's policy may raise anything, and the job must still end
        return GiveUp("retry_policy")


def _decision(answer: Decision | float | None) -> Decision:
    if answer is None:
        return GiveUp()
    if isinstance(answer, GiveUp):
        return answer
    return Requeue(clamped(answer.delay if isinstance(answer, Requeue) else answer))


def _checked(spec: RetrySpec) -> RetrySpec:
    for name, least in (("max_attempts", 1), ("base", 0), ("multiplier", 1), ("jitter", 0)):
        value = getattr(spec, name)
        if not math.isfinite(value) or value < least:
            raise ConfigError(f"retry {name} must be a finite number of at least {least}, got {value!r}")
    if spec.jitter > 1:
        raise ConfigError(f"retry jitter is a share of the delay, 0 to 1, got {spec.jitter!r}")
    if spec.cap is not None and not spec.cap >= 0:
        raise ConfigError(f"retry cap must be at least 0 seconds or None, got {spec.cap!r}")
    return spec
