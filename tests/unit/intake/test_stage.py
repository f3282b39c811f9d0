"""What a partition of product events becomes."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from schemas.dead_letter import UNREADABLE_HEADER, DeadLetter, RejectReason
from streams.errors import SettingsError
from streams.intake.agent import stage_spec
from streams.intake.identity_settings import identity_of
from streams.intake.stage import UNDRAINED_RECORDS_MAX, WINDOW_KEY
from streams.limits import (
    DEAD_LETTER_KEY_BYTES_MAX,
    DEAD_LETTER_VALUE_BYTES_MAX,
    HEADERS_BYTES_MAX,
    HEADERS_MAX,
    RECORD_BYTES_MAX,
)
from streams.metric_registry import Metrics
from streams.runtime.dead_letters import original_headers, retry_headers
from streams.runtime.headers import passed_on
from streams.runtime.rejects import RejectRatioExceededError
from streams.runtime.stage import Drained, Output, Stage
from streams.settings import IntakeSettings, Settings
from streams.topics import Topics

TOPICS = Topics("t.")
GOOD = b'{"type":"track","event":"e","userId":"u","context":{"groupId":"acme"}}'
BAD = b'{"type":"track"}'


@dataclass(frozen=True)
class Record:
    value: bytes | None
    key: bytes | None = b"u"
    headers: Sequence[tuple[str, bytes | None]] = ()
    offset: int = 0
    timestamp: int = 1_772_368_496_789


def stage(partition: int = 0, **settings: Any) -> Stage:
    return stage_spec(Settings(intake=IntakeSettings(**settings)), TOPICS).factory(partition)


def applied(*records: Record, **settings: Any) -> Drained:
    one = stage(3, **settings)
    one.apply(records)
    return one.drain()


def group(account: str, user: str) -> Record:
    return Record(msgspec.json.encode({"type": "group", "groupId": account, "userId": user}))


def event(user: str) -> Record:
    return Record(msgspec.json.encode({"type": "page", "userId": user}))


def letter(output: Output) -> DeadLetter:
    return DeadLetter.from_headers(output.headers)


def test_an_event_leaves_under_its_account_with_bytes_and_arrival_unchanged() -> None:
    raw = b' { "type":"track", "event":"e", "context":{"groupId":"acm\\u00e9"},"x":[1.0] }\n'
    drained = applied(Record(raw, timestamp=17, headers=[("traceparent", b"00-ab")]))
    assert drained.outputs == [
        Output("t.account.events.v1", "acmé".encode(), raw, [("traceparent", b"00-ab")], None, 17)
    ]
    assert drained.changes == []


def test_outputs_keep_the_order_of_the_records() -> None:
    outputs = applied(Record(GOOD, timestamp=1), Record(BAD), Record(GOOD, timestamp=2), Record(None)).outputs
    assert [(output.topic, output.timestamp_ms) for output in outputs] == [
        ("t.account.events.v1", 1),
        ("t.product.events.v1.dlq", None),
        ("t.account.events.v1", 2),
        ("t.product.events.v1.dlq", None),
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, RejectReason.NULL_VALUE),
        (b"", RejectReason.NOT_JSON),
        (b"\xff", RejectReason.NOT_UTF8),
        (b"[]", RejectReason.NOT_AN_OBJECT),
        (BAD, RejectReason.MISSING_EVENT),
        (b'{"type":"page"}', RejectReason.MISSING_ACCOUNT),
        (b'{"type":"group","groupId":"' + b"x" * 256 + b'"}', RejectReason.ACCOUNT_TOO_LONG),
        (b'{"type":"page","name":"' + b"x" * RECORD_BYTES_MAX + b'"}', RejectReason.TOO_LARGE),
    ],
)
def test_a_refused_record_leaves_as_it_came_with_the_reason(value: bytes | None, reason: RejectReason) -> None:
    one = stage(3)
    one.apply([Record(value, key=b"\xffkey", offset=41, headers=[("traceparent", b"00-ab")])])
    (output,) = one.drain().outputs
    assert (output.topic, output.key, output.value) == ("t.product.events.v1.dlq", b"\xffkey", value)
    assert output.headers[0] == ("traceparent", b"00-ab")
    found = letter(output)
    assert found.reason is reason
    assert found.detail
    assert (found.original_topic, found.original_partition, found.original_offset) == ("t.product.events.v1", 3, 41)
    assert found.first_seen == "2026-03-01T12:34:56.789Z"
    assert found.original_bytes is None
    assert one.counts[f"rejected:{reason}"] == 1


def test_a_dead_letter_is_cut_where_no_broker_would_take_it_whole() -> None:
    value = b"x" * (DEAD_LETTER_VALUE_BYTES_MAX + 1)
    (output,) = applied(Record(value, key=value)).outputs
    assert output.value == value[:DEAD_LETTER_VALUE_BYTES_MAX]
    assert output.key == value[:DEAD_LETTER_KEY_BYTES_MAX]
    assert letter(output).original_bytes == len(value)


@pytest.mark.parametrize("name", ["pegel-control", "Pegel-Control", "PEGEL-reason", "pegel-"])
@pytest.mark.parametrize("value", [GOOD, BAD])
def test_nobody_outside_can_inject_a_control_record(name: str, value: bytes) -> None:
    (output,) = applied(Record(value, headers=[(name, b"clock"), ("kept", b"1")])).outputs
    assert ("kept", b"1") in output.headers
    assert b"clock" not in [header for _, header in output.headers]


def test_headers_are_bounded_in_number_and_size() -> None:
    assert passed_on([("h", b"v")] * (HEADERS_MAX + 1)) == [("h", b"v")] * HEADERS_MAX
    large = ("h", b"v" * (HEADERS_BYTES_MAX - 1))
    assert passed_on([large, ("i", b"")]) == [large]
    assert passed_on([("pegel-x", b"v" * HEADERS_BYTES_MAX), ("h", None)]) == [("h", b"")]


def test_headers_that_are_not_passed_on_are_counted() -> None:
    one = stage()
    one.apply([Record(GOOD), Record(GOOD, headers=[("pegel-x", b"1"), *[("h", b"v")] * (HEADERS_MAX + 2)])])
    assert one.counts["cut:header"] == 3


def test_a_record_that_could_not_be_read_whole_is_refused_however_good_its_value() -> None:
    record = Record(GOOD, headers=[("h", b"1"), (UNREADABLE_HEADER, b"headers: 1 with a name that is no UTF-8")])
    (output,) = applied(record).outputs
    found = letter(output)
    assert (found.reason, found.original_headers) == (RejectReason.BAD_HEADERS, 2)
    assert original_headers(output.headers) == [("h", b"1")]
    (again,) = applied(Record(output.value, headers=[*original_headers(output.headers), *retry_headers(found)])).outputs
    assert again.topic == "t.account.events.v1"


def test_a_learned_user_is_a_row_of_the_changelog_once() -> None:
    one = stage()
    one.apply([group("acme", "ü"), group("acme", "ü"), group("other", "v"), group("acme", "v")])
    assert one.drain().changes == [("ü".encode(), b"acme"), (b"v", b"acme")]
    one.apply([group("acme", "v"), event("v")])
    drained = one.drain()
    assert drained.changes == []
    assert [output.key for output in drained.outputs] == [b"acme", b"acme"]


def test_a_restored_stage_goes_on_where_the_last_one_stopped() -> None:
    """Cut anywhere between flushes, two stages in a row give what one gives."""
    records = [
        group("acme", "a"), event("a"), event("b"), group("zeta", "b"), event("b"), Record(BAD), group("acme", "b"),
        event("b"), event("c"), Record(None), event("a"),
    ]  # fmt: skip
    whole = applied(*records).outputs
    for cut in range(len(records) + 1):
        first, second = stage(3), stage(3)
        first.apply(records[:cut])
        drained = first.drain()
        for key, value in drained.changes:
            second.restore(key, value)
        second.restored()
        second.apply(records[cut:])
        assert drained.outputs + second.drain().outputs == whole


def test_the_worker_stops_when_most_records_are_refused() -> None:
    one = stage(reject_sample_min=10)
    one.apply([Record(BAD)] * 5 + [Record(GOOD)] * 5)
    with pytest.raises(RejectRatioExceededError):
        one.apply([Record(GOOD)] * 5 + [Record(BAD)] * 6)


def test_a_restart_does_not_let_more_bad_records_through() -> None:
    one = stage(reject_sample_min=10)
    one.apply([Record(BAD)] * 5)
    rows = dict(one.drain().changes)
    again = stage(reject_sample_min=10)
    again.restore(WINDOW_KEY, rows[WINDOW_KEY])
    with pytest.raises(RejectRatioExceededError):
        again.apply([Record(BAD)])


def test_the_window_is_written_until_it_is_quiet_and_then_left_alone() -> None:
    one = stage(reject_sample_min=10)
    rows: list[Any] = []
    for records in ([Record(GOOD)], [Record(BAD)], [Record(GOOD)] * 8, [Record(GOOD)] * 5, [Record(GOOD)]):
        one.apply(records)
        rows.append(dict(one.drain().changes).get(WINDOW_KEY, "not written"))
    assert rows == ["not written", b"\0\0\0\0", b"\0\0\0\x08", None, "not written"]


def test_a_stage_is_dirty_exactly_while_there_is_something_to_drain() -> None:
    one = stage()
    assert not one.dirty()
    for record in (Record(GOOD), Record(BAD), group("acme", "u")):
        one.apply([record])
        assert one.dirty()
        one.drain()
        assert not one.dirty()
    assert one.drain() == Drained([], [])


def test_what_was_drained_is_not_touched_any_more() -> None:
    one = stage()
    one.apply([Record(GOOD)])
    first = one.drain()
    one.apply([Record(GOOD)])
    assert len(first.outputs) == 1


def test_a_stage_asks_for_a_pause_when_flushes_fall_behind() -> None:
    one = stage()
    one.apply([Record(GOOD)] * (UNDRAINED_RECORDS_MAX - 1))
    assert not one.saturated()
    one.apply([Record(GOOD)])
    assert one.saturated()
    one.drain()
    assert not one.saturated()
    large = Record(b'{"type":"group","groupId":"a","traits":{"t":"' + b"x" * (RECORD_BYTES_MAX - 100) + b'"}}')
    one.apply([large] * 33)
    assert one.saturated()


def test_every_record_is_done_with_once_applied_and_nothing_waits_for_the_clock() -> None:
    one = stage()
    one.on_tick(1, caught_up=True)
    assert one.position(17) == 17
    assert not one.dirty()
    one.close()


def test_counts_and_gauges_have_the_names_of_the_metrics() -> None:
    one = stage(account_property="properties.org")
    one.apply(
        [
            group("acme", "u"),
            event("u"),
            Record(GOOD),
            Record(b'{"type":"page","properties":{"org":"acme"}}'),
            Record(None),
            Record(BAD),
            Record(BAD),
        ]
    )
    assert dict(one.counts) == {
        "rejected:null_value": 1,
        "rejected:missing_event": 2,
        "accounts_resolved:group_call": 1,
        "accounts_resolved:user": 1,
        "accounts_resolved:context": 1,
        "accounts_resolved:property": 1,
        "evicted:identities": 0,
        "cut:header": 0,
    }
    assert dict(one.gauges) == {"state_rows": 1, "state_bytes": len("u") + len("acme")}
    metrics = Metrics("intake")
    assert metrics.set_stage_levels([one.gauges]) == []
    for name, total in one.counts.items():
        metrics.count(name, total)


def test_the_stage_is_wired_to_its_topics() -> None:
    spec = stage_spec(Settings(), TOPICS)
    assert (spec.name, spec.input_topic, spec.changelog_topic, spec.output_topics) == (
        "intake",
        "t.product.events.v1",
        "t.intake.identity.v1.changelog",
        ("t.account.events.v1", "t.product.events.v1.dlq"),
    )


@pytest.mark.parametrize(
    "make", [lambda settings: stage_spec(settings, TOPICS), lambda settings: identity_of(settings.intake)]
)
def test_a_path_that_leads_nowhere_is_told_before_the_worker_starts(make: Any) -> None:
    with pytest.raises(SettingsError, match=r"intake\.account_property"):
        make(Settings(intake=IntakeSettings(account_property="workspace.id")))


def test_real_events_all_find_their_account() -> None:
    path = Path(__file__).parents[3] / "deploy/demo/oss-activity.ndjson.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines()[:5_000]
    outputs = applied(*(Record(line) for line in lines)).outputs
    stated = [msgspec.json.decode(line) for line in lines]
    assert [output.key for output in outputs] == [
        (one.get("groupId") or one["context"]["groupId"]).encode() for one in stated
    ]
    assert [output.value for output in outputs] == lines


def test_records_of_the_real_client_fit() -> None:
    """What aiokafka's C extension yields is what the stage reads, without a copy in between."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=4_096,
    )
    traced = [("traceparent", b"00-ab"), ("none", None), ("pegel-control", b"clock")]
    builder.append(0, timestamp=17, key=b"u", value=GOOD, headers=traced)
    builder.append(1, timestamp=18, key=None, value=None, headers=[])
    batch = MemoryRecords(bytes(builder.build())).next_batch()
    assert batch is not None
    accepted, refused = applied(*batch).outputs
    assert accepted == Output(
        "t.account.events.v1", b"acme", GOOD, [("traceparent", b"00-ab"), ("none", b"")], None, 17
    )
    assert letter(refused).reason is RejectReason.NULL_VALUE
    assert letter(refused).original_offset == 1
