"""The form in which an account is stored: msgpack arrays, in the order of `account.FIELDS`.

Kept apart from `account`, which is compiled: msgspec's structs cannot be. What a version wrote stays readable: up to
version 1 message ids were a map from hash to arrival, and operations were not numbered.
"""

from typing import Any

import msgspec

StoredSeries = tuple[int, int, int, dict[int, int]]
StoredMeasure = tuple[dict[int, Any], dict[str, list[int]]]


class StoredAccount(msgspec.Struct, array_like=True, gc=False):
    """`account.Account` as it lies in a changelog row, behind the row's header."""

    now: int
    arrival: int
    floor: int
    next_at: int
    sequence: int
    first_seen: int
    total: int
    last_active: int | None
    converted_at: int | None
    cancelled_at: int | None
    tie_cancelled: bool
    traits: dict[str, tuple[int, Any]]
    events: dict[str, StoredSeries]
    activity: dict[int, int]
    score: dict[int, int]
    users: dict[str, int]
    teams: dict[str, int]
    nps: dict[str, tuple[int, float]]
    steps: dict[str, int]
    sequences: dict[str, int]
    measures: dict[str, StoredMeasure]
    message_ids: tuple[int, bytes] | dict[int, int]
    reported_day: int
    reported_sequence: int
    ranks: tuple[int, ...] | None
    members: dict[str, int]
    exits: dict[str, int]
    operation: int = 0
