"""Ids strictly increase, whatever the clock does."""

import os
import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.core.instant import Instant
from aiojobs_engine.runtime.ids import IdSource
from aiojobs_engine.testing.clock import ManualClock

MOMENTS = st.lists(st.integers(0, 2**47), min_size=1, max_size=50)


@settings(deadline=None)
@given(moments=MOMENTS)
def test_ids_of_one_source_strictly_increase_also_when_the_wall_clock_falls_back(moments: list[int]) -> None:
    clock = ManualClock(Instant(0))
    make = IdSource(clock)
    made: list[str] = []
    for moment in moments:
        clock.set_wall(Instant(moment))
        made += [make(), make()]

    assert all(a < b for a, b in pairwise(made))


@settings(deadline=None)
@given(moment=st.integers(0, 2**48 - 1))
def test_an_id_is_27_hexadecimal_digits_that_begin_with_its_millisecond(moment: int) -> None:
    made = IdSource(ManualClock(Instant(moment)))()

    assert re.fullmatch(r"[0-9a-f]{27}", made)
    assert int(made[:12], 16) == moment


def test_two_sources_of_one_millisecond_make_different_ids() -> None:
    clock = ManualClock()

    assert len({IdSource(clock)() for _ in range(1_000)}) == 1_000


def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    make = IdSource(ManualClock())
    make()
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writing, make().encode())
        os._exit(0)
    os.waitpid(pid, 0)

    assert os.read(reading, 100).decode() != make()
    os.close(reading)
    os.close(writing)
