"""What a load needs, from what was measured: workers, partitions, memory, disk and network.

Each figure that was measured stands here once, not better than `benchmarks/RESULTS.md` has it; a test holds the two
together. The rest are counts of bytes and times. docs/sizing.md says each formula in words, and where it ends to hold.
"""

import math
from dataclasses import dataclass
from typing import Final

from streams.engine.partition import LIVE_ACCOUNTS_MAX
from streams.limits import LEARNED_USERS_MAX

# Measured
ENGAGEMENT_CPU_S_PER_MILLION: Final = 25.0
"""Processor seconds of a worker for a million events of the default catalog's mix."""
INTAKE_CPU_S_PER_MILLION: Final = 8.0
FIRST_TOUCH_FACTOR: Final = 3.5
"""What an event costs more of an account that was not touched for long: it is decoded first."""
START_S: Final = 3.0
RECOVERY_ACCOUNTS_PER_S: Final = 300_000
IDLE_ACCOUNT_BYTES: Final = 900
LIVE_ACCOUNT_BYTES: Final = 9_500
ROW_BYTES: Final = 400
"""Key and value of an account in the changelog."""

# Counted: the default catalog over the same mix, without headers and framing
TRANSITIONS_PER_EVENT: Final = 0.4
TRANSITION_BYTES: Final = 750
USER_BYTES: Final = 300

# Chosen
BUSY_SHARE: Final = 0.6
"""How much of a core a worker takes at the peak: the rest is for catching up, and for a neighbour that is gone."""
WORKER_BYTES: Final = 150 * 10**6
PARTITIONS_PER_WORKER: Final = 4
PARTITIONS_STEP: Final = 12
"""A number that two, three, four and six workers share evenly."""
DIRTY_FACTOR: Final = 2
"""A changelog holds as much again that compaction has not come to."""
FLUSHES_PER_S: Final = 10
WORKERS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be carried. Where nothing is known of a thing, its default errs on the safe side."""

    events_per_s: float
    """At the peak."""
    accounts: int
    active_accounts: int
    """Those that have events within an hour of the peak."""
    users: int
    event_bytes: int = 500
    mean_share: float = 0.4
    """A day's mean, as a share of the peak."""
    kept_days: float = 365
    replication: int = 3
    stored_share: float = 0.4
    """What compression leaves of a byte."""


@dataclass(frozen=True, slots=True)
class Size:
    engagement_workers: int
    intake_workers: int
    partitions: int
    engagement_memory_bytes: int
    """Of one worker, with another one gone."""
    intake_memory_bytes: int
    restart_s: float
    """From the start of a worker until it is ready, its share of the state loaded."""
    start_all_bytes: int
    """What brokers send when all workers start at once."""
    log_bytes: int
    """Of all brokers together, copies included: events."""
    changelog_bytes: int
    written_bytes_per_s: int
    """Into the brokers at the peak, copies and compression left out."""
    network_bytes_per_s: int
    """Of all brokers together at the peak, in and out, copies included."""
    transactions_per_s: int
    """At most."""


def size(load: Load) -> Size:
    engagement = engagement_workers(load)
    intake = _workers(load.events_per_s, INTAKE_CPU_S_PER_MILLION)
    partitions = _up(PARTITIONS_PER_WORKER * max(engagement, intake), PARTITIONS_STEP)
    transitions_per_s = TRANSITIONS_PER_EVENT * load.events_per_s
    # Twice the event; at most a row for each; and each transition again as a membership.
    outputs = load.events_per_s * (load.event_bytes + ROW_BYTES) + transitions_per_s * 2 * TRANSITION_BYTES
    written = load.events_per_s * load.event_bytes + outputs
    # Read: events by intake, account events by engagement, transitions by the router.
    read = load.events_per_s * 2 * load.event_bytes + transitions_per_s * TRANSITION_BYTES
    state = load.accounts * ROW_BYTES * DIRTY_FACTOR
    kept_s = load.kept_days * 86_400
    return Size(
        engagement_workers=engagement,
        intake_workers=intake,
        partitions=partitions,
        engagement_memory_bytes=_engagement_memory(load, engagement - 1),
        intake_memory_bytes=round(
            WORKER_BYTES + min(load.users, partitions * LEARNED_USERS_MAX) * USER_BYTES / (intake - 1)
        ),
        restart_s=START_S + load.accounts / engagement / RECOVERY_ACCOUNTS_PER_S,
        start_all_bytes=round(state * load.stored_share),
        log_bytes=round(
            load.events_per_s * load.mean_share * kept_s * 2 * load.event_bytes * load.stored_share * load.replication
        ),
        changelog_bytes=round(state * load.stored_share * load.replication),
        written_bytes_per_s=round(written),
        network_bytes_per_s=round((written * (2 * load.replication - 1) + read) * load.stored_share),
        transactions_per_s=2 * partitions * FLUSHES_PER_S,
    )


def engagement_workers(load: Load) -> int:
    """The least number that is enough; more workers hold more accounts decoded, so each event gets cheaper too."""
    for workers in range(2, WORKERS_MAX):
        if _workers(load.events_per_s, ENGAGEMENT_CPU_S_PER_MILLION * _first_touches(load, workers)) <= workers:
            return workers
    raise ValueError(f"more than {WORKERS_MAX} workers: ask for less")


def _first_touches(load: Load, workers: int) -> float:
    """Factor by which an event gets dearer, if it is as likely of any active account."""
    active = load.active_accounts / workers
    missing = max(0.0, 1 - LIVE_ACCOUNTS_MAX / active) if active else 0.0
    return 1 + (FIRST_TOUCH_FACTOR - 1) * missing


def _workers(events_per_s: float, cpu_s_per_million: float) -> int:
    """Two at least: one that is gone must not be all."""
    return max(2, math.ceil(events_per_s * cpu_s_per_million / 1e6 / BUSY_SHARE))


def _engagement_memory(load: Load, workers: int) -> int:
    held = load.accounts / workers
    live = min(held, LIVE_ACCOUNTS_MAX)
    return round(WORKER_BYTES + held * IDLE_ACCOUNT_BYTES + live * LIVE_ACCOUNT_BYTES)


def _up(number: int, step: int) -> int:
    return math.ceil(number / step) * step
