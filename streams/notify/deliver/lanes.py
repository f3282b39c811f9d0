"""The queues of one destination: a lane per account, each strictly first in, first out, all of them side by side.

A lane is `ready` (its head may start), `busy` (its head is under way), `parked` (its head waits for its time) or `held`
(an operator wants its head to wait). Only the head of a lane ever moves, so an account's messages arrive in the order
of its transitions, whatever fails; and a head that waits holds back nobody but its own account. Ready lanes take turns.

What is about several accounts - a digest, a list - has the lane that the plan has named.

At a destination that keeps a state per account (`latest_wins`) a delivery takes the place of one that waits and says
what is outdated by it: of a hundred changes during an outage one is told. It takes over the other one's wait too.

A destination may move to another worker at any time: `drop` forgets its lanes but for heads that are under way. Those
cannot be called back, so if the destination returns before they end, the lane goes on where it was instead of sending
its head a second time.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from streams.notify.plan.delivery import Delivery

LaneKey = str


class Wait(StrEnum):
    """Whose fault it is that a head waits."""

    RECORD = "record"
    DESTINATION = "destination"
    QUIET = "quiet"
    """Nobody's: its readers sleep."""


class LaneState(StrEnum):
    READY = "ready"
    BUSY = "busy"
    PARKED = "parked"
    HELD = "held"


@dataclass(slots=True)
class Lane:
    queue: deque[Delivery] = field(default_factory=deque)
    state: LaneState = LaneState.READY
    until_ms: int = 0
    wait: Wait = Wait.RECORD
    ghost: bool = False
    """The head is under way, but its destination has moved away since: it is not sent again from here."""


class Lanes:
    def __init__(self, *, latest_wins: bool = False) -> None:
        self._latest_wins = latest_wins
        self._lanes: dict[LaneKey, Lane] = {}
        self._ready: dict[LaneKey, None] = {}
        """In the order of their turn."""
        self._parked: list[tuple[int, LaneKey]] = []
        """A heap; an entry that its lane no longer agrees with is void."""
        self._open = 0
        self._held_after: int | None = None

    def __len__(self) -> int:
        """Open deliveries, those under way included."""
        return self._open

    @property
    def parked(self) -> int:
        return sum(lane.state is LaneState.PARKED for lane in self._lanes.values())

    def hold_after(self, order: int | None) -> None:
        """Let nothing start whose `order` is greater; None: everything may."""
        self._held_after = order
        for key, lane in self._lanes.items():
            if lane.state in {LaneState.READY, LaneState.HELD}:
                self._ready.pop(key, None)
                self._make_ready(key, lane)

    def add(self, delivery: Delivery, now_ms: int) -> Delivery | None:
        """Queue it behind the others of its account. Returns the one whose place it has taken, if it has."""
        key = key_of(delivery)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(deque([delivery]))
            self._open += 1
            if delivery.not_before_ms > now_ms:
                self._park(key, lane, delivery.not_before_ms, Wait.RECORD)
            else:
                self._make_ready(key, lane)
            return None
        if lane.state is LaneState.BUSY and lane.queue[0].delivery_id == delivery.delivery_id:
            lane.queue[0] = delivery
            lane.ghost = False
            return None
        outdated = self._outdated_by(delivery, lane) if self._latest_wins else None
        lane.queue.append(delivery)
        self._open += 1
        if outdated is not None:
            self._take_place(lane, outdated, now_ms)
        return outdated

    def take(self, now_ms: int) -> Delivery | None:
        """The head whose turn it is; its lane is busy from now on."""
        self._wake(now_ms)
        key = next(iter(self._ready), None)
        if key is None:
            return None
        del self._ready[key]
        lane = self._lanes[key]
        lane.state = LaneState.BUSY
        return lane.queue[0]

    def head(self, delivery: Delivery) -> Delivery:
        """The delivery under way, as it is known now."""
        lane = self._lanes[key_of(delivery)]
        assert lane.state is LaneState.BUSY
        assert lane.queue[0].delivery_id == delivery.delivery_id
        return lane.queue[0]

    def done(self, delivery: Delivery, now_ms: int) -> None:
        """The head under way is settled: the lane goes on with the next."""
        key = key_of(delivery)
        lane = self._lanes[key]
        assert lane.state is LaneState.BUSY
        lane.queue.popleft()
        lane.ghost = False
        self._open -= 1
        self._next(key, lane, now_ms)

    def back(self, delivery: Delivery, now_ms: int) -> None:
        """The head under way has to go again, when it is its lane's turn."""
        key = key_of(delivery)
        lane = self._lanes[key]
        if lane.ghost:
            self.done(delivery, now_ms)
            return
        lane.queue[0] = delivery
        self._make_ready(key, lane)

    def park(self, delivery: Delivery, wait: Wait, now_ms: int) -> None:
        """The head under way has to go again, at its `not_before_ms`."""
        key = key_of(delivery)
        lane = self._lanes[key]
        if lane.ghost:
            self.done(delivery, now_ms)
            return
        lane.queue[0] = delivery
        self._park(key, lane, delivery.not_before_ms, wait)

    def hurry(self, delivery: Delivery) -> None:
        """A delivery that waits is its lane's next turn, before all other lanes; it stands as given from now on.

        Behind others of its account it stays behind them, but need not wait any more once it is the head.
        """
        key = key_of(delivery)
        lane = self._lanes[key]
        place = next(i for i, one in enumerate(lane.queue) if one.delivery_id == delivery.delivery_id)
        lane.queue[place] = delivery
        if place == 0 and lane.state in {LaneState.PARKED, LaneState.READY}:
            self._ready.pop(key, None)
            self._make_ready(key, lane)
        if place == 0 and lane.state is LaneState.READY:
            self._ready = {key: None} | self._ready

    def release(self, wait: Wait) -> None:
        """What waits for this reason need not wait any longer."""
        for key, lane in self._lanes.items():
            if lane.state is LaneState.PARKED and lane.wait is wait:
                self._make_ready(key, lane)

    def next_ms(self) -> int | None:
        """When the next head may start: 0 if one may now, None if there is none to wait for."""
        if self._ready:
            return 0
        self._discard_void()
        return self._parked[0][0] if self._parked else None

    def resting(self) -> Iterator[Delivery]:
        """Every delivery that is not under way, in its lane's order."""
        for lane in self._lanes.values():
            yield from list(lane.queue)[1 if lane.state is LaneState.BUSY else 0 :]

    def under_way(self) -> Iterator[Delivery]:
        for lane in self._lanes.values():
            if lane.state is LaneState.BUSY:
                yield lane.queue[0]

    def is_under_way(self, delivery: Delivery) -> bool:
        lane = self._lanes.get(key_of(delivery))
        return lane is not None and lane.state is LaneState.BUSY and lane.queue[0].delivery_id == delivery.delivery_id

    def withdraw(self, delivery: Delivery, now_ms: int) -> None:
        """Take out a delivery that is not under way, wherever it stands in its lane."""
        key = key_of(delivery)
        lane = self._lanes[key]
        place = next(i for i, one in enumerate(lane.queue) if one.delivery_id == delivery.delivery_id)
        assert place or lane.state is not LaneState.BUSY
        del lane.queue[place]
        self._open -= 1
        if not place:
            self._next(key, lane, now_ms)

    def drop(self) -> None:
        """Forget all lanes, but for heads under way."""
        for key, lane in list(self._lanes.items()):
            if lane.state is LaneState.BUSY:
                lane.queue = deque([lane.queue[0]])
                lane.ghost = True
            else:
                del self._lanes[key]
        self._ready.clear()
        self._open = len(self._lanes)

    def _outdated_by(self, delivery: Delivery, lane: Lane) -> Delivery | None:
        waiting = list(lane.queue)[1 if lane.state is LaneState.BUSY else 0 :]
        return next((one for one in waiting if subject_of(one) == subject_of(delivery)), None)

    def _take_place(self, lane: Lane, outdated: Delivery, now_ms: int) -> None:
        newest = lane.queue[-1]
        if outdated.not_before_ms > newest.not_before_ms:
            lane.queue[-1] = replace(newest, not_before_ms=outdated.not_before_ms, strikes=outdated.strikes)
        self.withdraw(outdated, now_ms)

    def _next(self, key: LaneKey, lane: Lane, now_ms: int) -> None:
        self._ready.pop(key, None)
        if not lane.queue:
            del self._lanes[key]
        elif lane.queue[0].not_before_ms > now_ms:
            self._park(key, lane, lane.queue[0].not_before_ms, Wait.RECORD)
        else:
            self._make_ready(key, lane)

    def _make_ready(self, key: LaneKey, lane: Lane) -> None:
        if self._held_after is not None and lane.queue[0].order > self._held_after:
            lane.state = LaneState.HELD
            return
        lane.state = LaneState.READY
        self._ready[key] = None

    def _park(self, key: LaneKey, lane: Lane, until_ms: int, wait: Wait) -> None:
        lane.state, lane.until_ms, lane.wait = LaneState.PARKED, until_ms, wait
        heapq.heappush(self._parked, (until_ms, key))

    def _wake(self, now_ms: int) -> None:
        self._discard_void()
        while self._parked and self._parked[0][0] <= now_ms:
            _, key = heapq.heappop(self._parked)
            self._make_ready(key, self._lanes[key])
            self._discard_void()

    def _discard_void(self) -> None:
        while self._parked and not self._agrees(*self._parked[0]):
            heapq.heappop(self._parked)

    def _agrees(self, until_ms: int, key: LaneKey) -> bool:
        lane = self._lanes.get(key)
        return lane is not None and lane.state is LaneState.PARKED and lane.until_ms == until_ms


def key_of(delivery: Delivery) -> LaneKey:
    """Which lane a delivery belongs to."""
    return delivery.lane or delivery.news.account_id


def subject_of(delivery: Delivery) -> tuple[str, str, str]:
    """What a delivery states something about: a newer one about the same outdates it."""
    news = delivery.news
    return delivery.play, delivery.template, news.group or news.segment
