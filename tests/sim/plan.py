"""What a seed decides before a run begins: the size of the world, the weather, and which faults fall when."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from tests.sim.network import Weather

SESSION_TIMEOUT_S: Final = 2.0
REBALANCE_TIMEOUT_S: Final = 3.0
TRANSACTION_TIMEOUT_S: Final = 4.0
FAULTS_MAX: Final = 8
FORGOTTEN_MAX: Final = 2
FAULTS_UNTIL_S: Final = 8.0
STEPS_TO_DEATH_MAX: Final = 80


class FaultKind(StrEnum):
    KILL = "kill"
    """-9, at one of the next awaits."""
    FREEZE = "freeze"
    """SIGSTOP, and SIGCONT later: beyond the session time-out a zombie."""
    STALL = "stall"
    """The event loop stands still, the consumer's thread goes on: heartbeats come, work does not."""
    TERMINATE = "terminate"
    """SIGTERM: flush, commit, leave."""
    JOIN = "join"
    """One more worker."""
    MOVE = "move"
    """No coordinator for a while."""
    REFUSE = "refuse"
    """The next batch is refused for good."""
    REPEAT = "repeat"
    """A batch reaches the agent twice."""
    LOSE = "lose"
    """A batch does not reach the agent."""
    SWAP = "swap"
    """Two batches of a partition reach the agent the wrong way round."""
    COMPACT = "compact"
    """The changelog is compacted."""
    FORGET = "forget"
    """The transaction coordinator comes back right after it has decided, and some places never hear of it."""


WEIGHTS: Final = {
    FaultKind.KILL: 6,
    FaultKind.FREEZE: 6,
    FaultKind.STALL: 2,
    FaultKind.TERMINATE: 2,
    FaultKind.JOIN: 2,
    FaultKind.MOVE: 2,
    FaultKind.REFUSE: 1,
    FaultKind.REPEAT: 1,
    FaultKind.LOSE: 1,
    FaultKind.SWAP: 1,
    FaultKind.COMPACT: 2,
}


@dataclass(frozen=True, slots=True)
class Fault:
    kind: FaultKind
    at_s: float
    target: int
    """Which of the workers then alive, in turn."""
    steps: int
    lasts_s: float


class Plot(StrEnum):
    """Faults that are worth more together."""

    NONE = "none"
    ZOMBIE_MEETS_SUCCESSOR = "zombie_meets_successor"
    """A worker wakes while those who took over are loading; there is always something to flush."""
    OWNER_RETURNS = "owner_returns"
    """A worker sleeps over somebody else's whole ownership, with nothing in hand, and gets its partitions back."""


@dataclass(frozen=True, slots=True)
class Plan:
    plot: Plot
    partitions: int
    workers: int
    are_static: bool
    """Workers have instance ids."""
    keys: int
    arrivals_s: tuple[float, ...]
    """When records are written to the input."""
    flush_interval_ms: int
    fetch_records_max: int
    batch_records_max: int
    apply_s: float
    """How long the agent takes for a batch."""
    restart_s: float
    weather: Weather
    faults: tuple[Fault, ...]


def plan(random: Random, wanted: Plot | None = None) -> Plan:
    (drawn,) = random.choices(list(Plot), weights=(6, 2, 2))
    plot = wanted or drawn
    sized = _PLOTS[plot](random)
    return Plan(
        plot=plot,
        partitions=random.randint(1, 3),
        are_static=random.random() < 0.4,
        keys=random.randint(1, 5),
        flush_interval_ms=random.choice((20, 50, 200)),
        fetch_records_max=random.choice((1, 3, 10)),
        batch_records_max=random.choice((2, 100)),
        apply_s=random.choice((0.0, 0.0, 0.005, 0.05)),
        weather=_weather(random, sized),
        workers=sized.workers,
        arrivals_s=sized.arrivals_s,
        restart_s=sized.restart_s,
        faults=tuple(sorted([*sized.faults, *_forgotten(random)], key=lambda fault: (fault.at_s, fault.kind))),
    )


@dataclass(frozen=True, slots=True)
class _Sized:
    workers: int
    restart_s: float
    arrivals_s: tuple[float, ...]
    faults: list[Fault]
    latencies_s: tuple[float, ...] = (0.0005, 0.003, 0.02)
    slow_rates: tuple[float, ...] = (0.0, 0.01)
    slow_s: float = 3.0
    slow_calls: tuple[str, ...] = ("",)


def _any_faults(random: Random) -> _Sized:
    records = random.randint(10, 60)
    return _Sized(
        workers=random.randint(1, 3),
        restart_s=random.choice((0.05, 0.5, 1.5)),
        arrivals_s=tuple(random.random() * FAULTS_UNTIL_S for _ in range(records)),
        faults=[_fault(random) for _ in range(random.randint(1, FAULTS_MAX))],
    )


def _zombie_meets_successor(random: Random) -> _Sized:
    at_s = random.uniform(1.5, 4.0)
    lasts_s = SESSION_TIMEOUT_S + random.uniform(-0.2, 0.7)
    wakes_s = at_s + lasts_s
    busy = tuple(random.uniform(wakes_s - 0.5, wakes_s + 1.5) for _ in range(random.randint(20, 60)))
    freeze = Fault(FaultKind.FREEZE, at_s, random.randrange(1_000), 0, lasts_s)
    in_hand = (random.uniform(at_s - 0.1, at_s + 0.3) for _ in range(10))
    arrivals_s = (*(random.random() * at_s for _ in range(10)), *in_hand, *busy)
    # Everything is fast but the fence: much can happen before it and after what came before it.
    slow = ("init", "ends", "committed")
    return _Sized(
        random.randint(2, 3), 0.5, arrivals_s, [freeze], latencies_s=(0.0005, 0.003), slow_s=1.0, slow_calls=slow
    )


def _owner_returns(random: Random) -> _Sized:
    at_s = random.uniform(1.5, 3.0)
    lasts_s = SESSION_TIMEOUT_S + random.uniform(0.8, 2.0)
    wakes_s = at_s + lasts_s
    quiet = (at_s - 0.6, at_s + SESSION_TIMEOUT_S)
    arrivals_s = tuple(
        one for one in (random.random() * FAULTS_UNTIL_S for _ in range(40)) if not quiet[0] < one < quiet[1]
    )
    target = random.randrange(1_000)
    # The other one of two goes when the sleeper wakes.
    goes = Fault(
        random.choice((FaultKind.KILL, FaultKind.TERMINATE)),
        wakes_s + random.uniform(-0.4, 0.4),
        target + 1,
        random.randrange(10),
        0.0,
    )
    return _Sized(2, 2.5, arrivals_s, [Fault(FaultKind.FREEZE, at_s, target, 0, lasts_s), goes])


_PLOTS: Final = {
    Plot.NONE: _any_faults,
    Plot.ZOMBIE_MEETS_SUCCESSOR: _zombie_meets_successor,
    Plot.OWNER_RETURNS: _owner_returns,
}


def _fault(random: Random) -> Fault:
    (kind,) = random.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))
    return Fault(
        kind,
        at_s=random.random() * FAULTS_UNTIL_S,
        target=random.randrange(1_000),
        steps=random.randrange(STEPS_TO_DEATH_MAX),
        # Around the session time-out, where a zombie and its successor meet.
        lasts_s=SESSION_TIMEOUT_S * random.choice((0.2, 0.8, 1.1, 1.3, 1.6, 2.5)) * random.uniform(0.9, 1.1),
    )


def _forgotten(random: Random) -> list[Fault]:
    """Drawn last: without them a seed is the run that it was before there were such faults."""
    return [
        Fault(FaultKind.FORGET, random.random() * FAULTS_UNTIL_S, 0, 0, 0.0)
        for _ in range(random.randint(0, FORGOTTEN_MAX))
    ]


def _weather(random: Random, sized: _Sized) -> Weather:
    return Weather(
        latency_s=random.choice(sized.latencies_s),
        lost_rate=random.choice((0.0, 0.003, 0.02)),
        slow_rate=random.choice(sized.slow_rates),
        slow_s=sized.slow_s,
        slow_call=random.choice(sized.slow_calls),
        marker_s=random.choice((0.001, 0.02, 0.3)),
    )
