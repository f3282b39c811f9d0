"""The outbox: whatever is opened, settled, dropped, flushed and read back, the window holds what comes first."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.notify.courier import outbox
from streams.notify.courier.outbox import First, Outbox, window_max
from streams.notify.courier.post import Rows
from streams.notify.courier.reading import spilled_in
from streams.notify.courier.rows import parts_of
from tests.unit.notify.harness import Row
from tests.unit.notify.world import delivery

SEEDS = st.integers(min_value=0, max_value=2**32)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_what_is_kept_of_a_log_are_its_first_live_rows_or_fewer_and_nothing_beyond_what_was_let_go(seed: int) -> None:
    chance = random.Random(seed)
    most, from_order = chance.randint(1, 6), chance.randint(0, 6)
    first, live = First(most, from_order), {}
    for number in range(chance.randint(0, 60)):
        order = chance.randint(0, 11)
        name, row = f"d{order}", str(number).encode()
        if chance.random() < 0.7:
            first.put(name, order, row)
            live[order] = (name, row)
        else:
            first.remove(name)
            live.pop(order, None)
        assert len(first) <= most
        kept = list(first.rows())
        expected = [live[order] for order in sorted(live) if order >= from_order]
        assert kept == expected[: len(kept)], "a row is missing before one that is kept, or is not its last version"
        assert first.evicted_from is not None or kept == expected


class World:
    """An outbox, its changelog, and what must not be lost: all that is open by the last flush."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.rows: dict[bytes, bytes] = {}
        self.outbox = Outbox("team", keeps_words=False, window=window)
        self.open: dict[str, int] = {}
        """What is open by now, with its place."""
        self.flushed: dict[str, int] = {}
        self.number = 0

    def add(self, _: int) -> None:
        one = delivery(f"a{self.number}", self.number)
        self.number += 1
        self.open[one.delivery_id] = self.outbox.next_order
        self.outbox.add(one)

    def close(self, place: int) -> None:
        names = [one.delivery_id for one in self.outbox]
        if place < len(names):
            self.outbox.close(names[place])
            del self.open[names[place]]

    def drop(self, number: int) -> None:
        name = delivery(f"a{number}", number).delivery_id
        if name in self.open and name not in self.outbox and self.outbox.drop_spilled(name):
            del self.open[name]

    def flush(self, _: int) -> None:
        for key, row in self.outbox.changes():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self.flushed = dict(self.open)

    def restart(self, _: int) -> None:
        rows = Rows(self.window)
        for key, row in self.rows.items():
            kind, _destination, rest = parts_of(key)
            rows.take(kind, rest, row)
        self.outbox = Outbox("team", keeps_words=False, window=self.window)
        self.outbox.restore(rows.deliveries("team"))
        self.open = dict(self.flushed)

    def read(self, _: int) -> None:
        wanted = self.outbox.wanted()
        if wanted is not None:
            self.outbox.take_in(spilled_in([Row(key, row) for key, row in self.rows.items()], wanted))

    def check(self) -> None:
        held = [(one.delivery_id, one.order) for one in self.outbox]
        assert len(held) <= self.window
        assert held == sorted(self.open.items(), key=lambda one: one[1])[: len(held)], "not the first ones, in order"

    def drain(self) -> None:
        """Settle everything, as a destination that is back would have it."""
        for _ in range(200):
            self.read(0)
            self.check()
            self.close(0)
            self.flush(0)
        assert (self.open, self.rows, len(self.outbox)) == ({}, {}, 0)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_nothing_that_is_open_is_lost_or_overtaken_whatever_is_spilled(seed: int) -> None:
    chance = random.Random(seed)
    world = World(chance.randint(1, 5))
    acts = [world.add, world.close, world.read, world.drop, world.flush, world.restart]
    weights = [chance.choice([1, 4, 8]), 6, 4, 2, chance.choice([1, 4]), 1]
    for _ in range(chance.randint(0, 150)):
        [act] = chance.choices(acts, weights)
        act(chance.randint(0, 60) if act == world.drop else chance.randint(0, 1))
        world.check()
    world.flush(0)
    world.drain()


def test_the_windows_of_all_destinations_share_what_there_is() -> None:
    assert [window_max(count) for count in (0, 1, 5, 10, 50, 1_000)] == [4_000, 4_000, 4_000, 2_000, 400, 200]
    assert outbox.SPILLED_MAX == 1_000_000
