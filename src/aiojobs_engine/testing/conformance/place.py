"""Named places in the stream: kept by the store, moved by one holder at a time."""

import asyncio

from aiojobs_engine.ports.stream import Place
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage


class PlaceContract(Contract):
    """`EventStream.hold_place`."""

    async def test_a_new_place_belongs_to_the_first_who_asks_and_is_nowhere(self, stage: Stage) -> None:
        hold = stage.backend.hold_place

        assert await hold("mail", "one", 10) == Place(held=True, cursor=None)
        assert await hold("mail", "two", 10) == Place(held=False, cursor=None)
        assert await hold("other", "two", 10) == Place(held=True, cursor=None)

    async def test_its_holder_moves_a_place_and_nobody_else_does(self, stage: Stage) -> None:
        await stage.put("a")
        tail = await stage.backend.tail()
        hold = stage.backend.hold_place
        await hold("mail", "one", 10)

        assert await hold("mail", "one", 10, tail) == Place(held=True, cursor=tail)
        assert await hold("mail", "two", 10, "0") == Place(held=False, cursor=tail)
        assert await hold("mail", "one", 10) == Place(held=True, cursor=tail)

    async def test_a_lease_that_ran_out_lets_the_next_one_go_on_from_there(self, stage: Stage) -> None:
        await stage.put("a")
        tail = await stage.backend.tail()
        hold = stage.backend.hold_place
        await hold("mail", "one", 10, tail)

        await stage.clock.advance(9.9)
        assert not (await hold("mail", "two", 10)).held
        await stage.clock.advance(0.2)

        assert await hold("mail", "two", 10) == Place(held=True, cursor=tail)
        assert await hold("mail", "one", 10, "0") == Place(held=False, cursor=tail)

    async def test_a_renewal_counts_from_now(self, stage: Stage) -> None:
        hold = stage.backend.hold_place
        await hold("mail", "one", 10)
        await stage.clock.advance(9)
        await hold("mail", "one", 10)
        await stage.clock.advance(9)

        assert not (await hold("mail", "two", 10)).held

    async def test_who_lets_go_keeps_its_move(self, stage: Stage) -> None:
        await stage.put("a")
        tail = await stage.backend.tail()
        hold = stage.backend.hold_place
        await hold("mail", "one", 10)

        await hold("mail", "one", 0, tail)

        assert await hold("mail", "two", 10) == Place(held=True, cursor=tail)

    async def test_leases_of_another_boot_have_run_out(self, stage: Stage) -> None:
        hold = stage.backend.hold_place
        await hold("mail", "one", 1000)

        stage.clock.reboot("another")

        assert (await hold("mail", "two", 10)).held

    async def test_a_changed_wall_clock_frees_no_place(self, stage: Stage) -> None:
        hold = stage.backend.hold_place
        await hold("mail", "one", 10)

        stage.clock.set_wall(stage.after(86_400))

        assert not (await hold("mail", "two", 10)).held

    async def test_of_many_who_ask_at_once_one_is_given_the_place(self, stage: Stage) -> None:
        places = await asyncio.gather(
            *(stage.backend.hold_place("mail", f"holder-{number}", 10) for number in range(20))
        )

        assert sum(place.held for place in places) == 1
