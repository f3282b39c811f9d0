"""What one hostile account may cost: bounded memory and time, and no harm to its neighbours."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.dead_letter import Rejected
from schemas.timestamps import format_ms
from schemas.wire import decode_event
from streams.engine.apply import Noted
from streams.engine.partition import Partition
from streams.engine.program import compile_catalog
from streams.topics import WRAPPED_BATCH_BYTES_MAX

START = 1_772_452_800_000
DAY = 86_400_000
EVENTS = 20_000
RULES: dict[str, Any] = {
    "format": 1,
    "name": "rules",
    "checklist": [{"event": "e7", "count": 1}],
    "value_event": "e1",
    "measures": {
        f"m{number}": {"event": f"e{number % 8}", "property": "value", "aggregate": aggregate}
        for number, aggregate in enumerate(("sum", "max", "min", "last", "unique", "unique") * 10)
    },
    "segments": [
        {"id": "busy", "when": 'count("*", days=7) >= 3'},
        {"id": "rich", "when": 'measure("m0", days=28) > 10 and mrr > 5'},
        {"id": "wide", "when": "active_users(days=90) >= 10"},
        {"id": "quiet", "when": "since(last_active_at) > 3"},
    ],
}
HUGE: list[Any] = [
    1e308,
    -1e308,
    5e-324,
    10**300,
    -(10**18),
    0.1,
    2**63,
    2**64,
    True,
    None,
    "x" * 5_000,
    [1] * 50,
    {"a": {}},
]


def hostile() -> Iterator[tuple[bytes, int]]:
    """Events that try every collection and every odd value, over a hundred days."""
    for number in range(EVENTS):
        at = START + number * 100 * DAY // EVENTS
        event: dict[str, Any] = {
            "type": "track",
            "messageId": f"m{number}",
            "event": f"e{number % 8}" if number % 2 else f"name-{number}" + "n" * 300,
            "userId": f"\N{GRINNING FACE}{number}" * 60,
            "timestamp": format_ms(at - number % 7 * DAY),
            "properties": {"team": f"team-{number}" * 40, "value": HUGE[number % len(HUGE)], "score": number % 11},
        }
        if number % 5 == 0:
            event |= {"type": "group", "groupId": "evil", "traits": {f"key-{number}" * 30: [["v" * 2_000] * 3] * 50}}
            event["traits"] |= {"usage": {f"r{n}": n for n in range(1_000)}, "mrr": 10**400 if number % 2 else 1e308}
        if number % 11 == 0:
            event |= {"event": "nps_answered"}
        if number % 97 == 0:
            event["timestamp"] = "0001-01-01T00:00:00Z" if number % 2 else "9999-12-31T23:59:59Z"
        yield json.dumps(event).encode(), at


def neighbour(partition: Partition, number: int, at: int) -> None:
    raw = json.dumps({"type": "page", "userId": "u", "messageId": f"n{number}", "timestamp": format_ms(at)}).encode()
    partition.apply("good", decode_event(raw), raw, at)


@pytest.mark.timeout(120)  # it takes seconds; what grows without bound takes minutes
def test_a_hostile_account_is_bounded_counted_and_alone() -> None:
    program = compile_catalog(Catalog.model_validate(RULES))
    shared, alone = Partition(program), Partition(program)
    refused, largest = 0, 0
    for number, (raw, at) in enumerate(hostile()):
        try:
            shared.apply("evil", decode_event(raw), raw, at)
        except Rejected:
            refused += 1
        if number % 100 == 0:
            neighbour(shared, number, at)
            neighbour(alone, number, at)
            largest = max(largest, *(len(stored) for _, stored in shared.take_changes()))
            alone.take_changes()

    assert largest < WRAPPED_BATCH_BYTES_MAX // 2  # it must fit into a changelog record, with room
    found = [t for t in shared.take_transitions() if t.account_id == "good"]
    assert found == alone.take_transitions()
    assert found
    counted = shared.counts
    for noted in (Noted.USER_EVICTED, Noted.TEAM_EVICTED, Noted.EVENT_EVICTED, Noted.TRAIT_EVICTED, Noted.TEXT_CUT):
        assert counted[noted] > 0, noted
    assert counted[Noted.TRAIT_TOO_LARGE] > 0
    assert counted[Noted.ANSWER_EVICTED] > 0
    assert refused > 0  # 10**400 is no number of JSON that anybody could hold


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"track","event":"e","properties":{"v":NaN}}',
        b'{"type":"track","event":"e","properties":{"v":"\\ud800"}}',
        b'{"type":"track","event":"e","properties":' + b'{"a":' * 64 + b"1" + b"}" * 65,
        b'{"type":"track","event":"e","properties":{' + b",".join(b'"%d":1' % n for n in range(20_000)) + b"}}",
        b'{"type":"group","traits":{"t":"' + b"x" * (10 << 20) + b'"}}',
    ],
    ids=["nan", "lone surrogate", "deep", "bomb of keys", "10 MB"],
)
def test_what_no_engine_should_see_is_refused_before_it(raw: bytes) -> None:
    with pytest.raises(Rejected):
        decode_event(raw)
