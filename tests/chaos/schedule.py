"""What goes wrong when, from a seed: the same seed is the same schedule.

Theory of operation. Lanes go on side by side, each a list of steps with a pause before each: some break workers, one
breaks brokers and the network. A lane is shuffled decks: each deck holds every kind of the mix as often as the mix
says, so that a short schedule has every kind at least once and a long one all of them evenly. What is random is the
order, the pauses, how long a fault lasts and whom it hits (a place, taken modulo whoever is there).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    # Workers
    KILL = "kill"
    """Kill -9 at a random moment."""
    KILL_IN_FLUSH = "kill_in_flush"
    """Kill -9 while every answer of the brokers is late: the transaction is open."""
    KILL_WHILE_LOADING = "kill_while_loading"
    """Kill -9, and again as soon as the successor loads state."""
    KILL_IN_REBALANCE = "kill_in_rebalance"
    """Somebody joins, somebody else is killed before all is shared out."""
    ZOMBIE_REPLACED = "zombie_replaced"
    """SIGSTOP; a successor of the same name takes over; SIGCONT."""
    ZOMBIE_EXPIRED = "zombie_expired"
    """SIGSTOP beyond the session time-out, others take over; SIGCONT."""
    JOIN = "join"
    LEAVE = "leave"
    # Brokers and network
    BROKER_KILL = "broker_kill"
    BROKER_STOP = "broker_stop"
    LATENCY = "latency"
    SLOW = "slow"
    HOLD = "hold"
    HALF_OPEN = "half_open"
    CUT = "cut"


WORKER_KINDS: Final = tuple(Kind)[: tuple(Kind).index(Kind.BROKER_KILL)]
CLUSTER_KINDS: Final = tuple(Kind)[len(WORKER_KINDS) :]


@dataclass(frozen=True, slots=True)
class Range:
    low: float
    high: float

    def pick(self, rng: random.Random) -> float:
        return round(rng.uniform(self.low, self.high), 3)


LASTS_S: Final[Mapping[Kind, Range]] = {
    Kind.KILL: Range(0, 0),
    Kind.KILL_IN_FLUSH: Range(0.05, 0.6),
    Kind.KILL_WHILE_LOADING: Range(0, 0.1),
    Kind.KILL_IN_REBALANCE: Range(0, 2.0),
    Kind.ZOMBIE_REPLACED: Range(1.0, 4.0),
    Kind.ZOMBIE_EXPIRED: Range(6.5, 9.0),
    Kind.JOIN: Range(0, 0),
    Kind.LEAVE: Range(0, 0),
    Kind.BROKER_KILL: Range(0.1, 3.0),
    Kind.BROKER_STOP: Range(0.1, 3.0),
    Kind.LATENCY: Range(1.0, 3.0),
    Kind.SLOW: Range(1.0, 3.0),
    Kind.HOLD: Range(0.5, 5.0),
    Kind.HALF_OPEN: Range(0.5, 5.0),
    Kind.CUT: Range(0.2, 3.0),
}


@dataclass(frozen=True, slots=True)
class Step:
    pause_s: float
    kind: Kind
    place: int
    """Whom it hits, modulo those there are."""
    everywhere: bool
    """A fault of the network: of all brokers' or of one's."""
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each kind is in a deck, how many steps, and the pause before each."""

    deck: Mapping[Kind, int]
    steps: int
    pause_s: Range


def schedule(seed: int, mix: Mix) -> tuple[Step, ...]:
    """A lane's steps."""
    rng = random.Random(seed)
    kinds: list[Kind] = []
    while len(kinds) < mix.steps:
        deck = [kind for kind, times in mix.deck.items() for _ in range(times)]
        rng.shuffle(deck)
        kinds += deck
    return tuple(_step(rng, kind, mix.pause_s) for kind in kinds[: mix.steps])


def _step(rng: random.Random, kind: Kind, pause_s: Range) -> Step:
    return Step(pause_s.pick(rng), kind, rng.randrange(1_000), rng.random() < 0.5, LASTS_S[kind].pick(rng))


def each(kinds: Sequence[Kind], times: int = 1) -> dict[Kind, int]:
    return dict.fromkeys(kinds, times)
