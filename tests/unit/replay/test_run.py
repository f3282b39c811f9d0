import json
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.dead_letter import Rejected, RejectReason
from schemas.timestamps import format_ms
from streams.engine.found import Transition
from streams.engine.partition import Outcome
from streams.engine.program import Program, compile_catalog
from streams.intake.identity import Identity
from streams.limits import RECORD_BYTES_MAX
from streams.replay.lines import LINE_BYTES_MAX, Line
from streams.replay.run import Replay
from tests.unit.engine.building import DAY, GRACE, HOUR, MIDNIGHT, START, catalog_of, program_of
from tests.unit.replay.dumps import catalog_change, clock, control, envelope, in_base64

TWO_DAYS = 'since(last("a")) >= 2'


def event(
    t: int, name: str = "a", *, account: str | None = "acme", arrival: int | None = None, **more: Any
) -> dict[str, Any]:
    """A line as a producer sends it, with a message id of its own."""
    fields = {"type": "track", "event": name, "messageId": f"{t}-{arrival}-{account}-{more}", "timestamp": format_ms(t)}
    if arrival is not None:
        fields["receivedAt"] = format_ms(arrival)
    return fields | ({} if account is None else {"context": {"groupId": account}}) | more


def dumped(t: int, **more: Any) -> dict[str, Any]:
    """The same, as a record of account.events.v1."""
    fields = {"type": "track", "event": "a", "messageId": f"m{t}", "timestamp": format_ms(t)}
    return envelope(fields, t, **more)


class Run:
    """A replay of lines; what was refused is kept by reason."""

    def __init__(self, program: Program | None = None, until: int | None = None, **options: Any) -> None:
        self.replay = Replay(program or program_of(TWO_DAYS), Identity().take, until, **options)
        self.refused: list[RejectReason] = []
        self.details: list[str] = []
        self._lines = 0

    def feed(self, *lines: dict[str, Any] | bytes) -> "Run":
        for line in lines:
            self._lines += 1
            try:
                self.replay.feed(Line("f", self._lines, line if isinstance(line, bytes) else json.dumps(line).encode()))
            except Rejected as rejected:
                self.refused.append(rejected.reason)
                self.details.append(rejected.detail)
        return self

    def story(self) -> list[tuple[str, str, int]]:
        return [(one.account_id, one.direction, one.effective_at) for one in self.replay.finish()]


# --- plain lines ---


def test_lines_become_transitions_in_the_order_of_their_time() -> None:
    run = Run(until=START + 10 * DAY).feed(
        event(START + HOUR, account="bolt"), event(START, account="acme"), event(START + HOUR, account="acme")
    )
    assert run.story() == [("acme", "entered", START + HOUR + 2 * DAY), ("bolt", "entered", START + HOUR + 2 * DAY)]
    assert run.replay.accounts == 2
    assert run.replay.summary.outcomes == {Outcome.APPLIED: 3}


def test_arrival_is_received_at_else_timestamp() -> None:
    run = Run().feed(event(START, arrival=START + 3 * DAY), event(START + 1, account="bolt"))
    assert run.replay.arrivals == (START + 1, START + 3 * DAY)
    account, _ = run.replay.partitions[0].account("acme") or pytest.fail("the account exists")
    assert account.now == START + 3 * DAY - GRACE


def test_without_an_end_nothing_fires_after_the_last_record() -> None:
    assert Run().feed(event(START)).story() == []


@pytest.mark.parametrize(("until", "fired"), [(START + 2 * DAY - 1, False), (START + 2 * DAY, True)])
def test_until_is_a_horizon_deadlines_at_it_included(until: int, *, fired: bool) -> None:
    assert (Run(until=until).feed(event(START)).story() != []) is fired


def test_what_arrives_after_the_end_is_left_out_and_teaches_nothing() -> None:
    group = {"type": "group", "userId": "u", "groupId": "acme", "messageId": "g", "timestamp": format_ms(START + DAY)}
    run = Run(until=START).feed(
        event(START), group, event(START, account=None, userId="u"), event(START, arrival=START + 1)
    )
    assert run.replay.summary.after_until == 2
    assert run.refused == [RejectReason.MISSING_ACCOUNT]


def test_an_account_is_resolved_as_intake_does() -> None:
    group = {"type": "group", "userId": "u", "groupId": "acme", "messageId": "g", "timestamp": format_ms(START)}
    run = Run().feed(event(START, account=None, userId="u"), group, event(START, account=None, userId="u"))
    assert run.refused == [RejectReason.MISSING_ACCOUNT]
    assert run.replay.seen_accounts == {"acme"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", RejectReason.NOT_JSON),
        (b"\xff{}", RejectReason.NOT_UTF8),
        (b"[]", RejectReason.NOT_AN_OBJECT),
        (b"{}", RejectReason.UNKNOWN_TYPE),
        (b'{"type": "delete"}', RejectReason.UNKNOWN_TYPE),
        (b'{"type": "track", "timestamp": "2026-03-02T12:00:00Z"}', RejectReason.MISSING_EVENT),
        (b'{"type": "page", "timestamp": "soon"}', RejectReason.UNREADABLE_TIMESTAMP),
        (b'{"type": "page", "originalTimestamp": "2026-03-02T12:00:00Z"}', RejectReason.UNREADABLE_ARRIVAL),
        (b'{"type": "page", "timestamp": "2026-03-02T12:00:00Z"}', RejectReason.MISSING_ACCOUNT),
        (b'{"type": "track", "event": "' + b"x" * RECORD_BYTES_MAX + b'"}', RejectReason.TOO_LARGE),
        (b"x" * LINE_BYTES_MAX, RejectReason.TOO_LARGE),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_with_its_reason(line: bytes, reason: RejectReason) -> None:
    run = Run().feed(line, event(START))
    assert run.refused == [reason]
    assert run.replay.summary.rejected == {reason: 1}
    assert run.replay.accounts == 1, "the next line is taken"


def test_only_some_accounts_can_be_asked_for() -> None:
    run = Run(until=START + 9 * DAY, takes="bolt".__eq__).feed(event(START), event(START, account="bolt"))
    assert {account for account, _, _ in run.story()} == {"bolt"}
    assert run.replay.seen_accounts == {"acme", "bolt"}


# --- dumps ---


def told(transitions: list[Transition]) -> list[tuple[Any, ...]]:
    return [(one.account_id, one.segment, one.direction, one.effective_at, one.sequence) for one in transitions]


def test_a_dump_is_the_log_itself() -> None:
    """Key, arrival and clock as they were: nothing is resolved, nothing guessed."""
    odd = dumped(START + HOUR, key="bolt") | {"ts": START + 3 * DAY}
    run = Run().feed(dumped(START), odd, clock(START + 3 * DAY))
    assert run.story() == [("acme", "entered", START + 2 * DAY), ("bolt", "entered", START + 3 * DAY - GRACE)]
    assert run.replay.summary.controls == {"clock": 1}


def test_partitions_of_a_dump_have_clocks_of_their_own() -> None:
    run = Run().feed(dumped(START), dumped(START, key="bolt", partition=1), clock(START + 5 * DAY, partition=1))
    assert run.story() == [("bolt", "entered", START + 2 * DAY)]
    assert len(run.replay.partitions) == 2


def test_payloads_in_base64_are_the_same_payloads() -> None:
    plain = Run(until=START + 9 * DAY).feed(dumped(START))
    packed = Run(until=START + 9 * DAY).feed(in_base64(dumped(START)))
    assert told(plain.replay.finish()) == told(packed.replay.finish()) != []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (dumped(START, key=None), RejectReason.MISSING_ACCOUNT),
        (dumped(START, key="x" * 300), RejectReason.ACCOUNT_TOO_LONG),
        (dumped(START) | {"payload": None}, RejectReason.NULL_VALUE),
        (dumped(START) | {"payload": "{"}, RejectReason.NOT_JSON),
        (dumped(START) | {"payload_base64": "!"}, RejectReason.NOT_JSON),
        (dumped(START, key_base64="/w=="), RejectReason.NOT_UTF8),
        (control("party", {}, START), RejectReason.UNKNOWN_CONTROL),
        (control("clock", {"at": "soon"}, START), RejectReason.BAD_CONTROL),
        (clock(START) | {"payload": None}, RejectReason.NULL_VALUE),
    ],
)
def test_a_dumped_record_that_cannot_be_used_is_refused(record: dict[str, Any], reason: RejectReason) -> None:
    run = Run().feed(record, dumped(START))
    assert (run.refused, run.replay.accounts) == ([reason], 1)


def test_a_large_record_may_have_become_larger_by_dumping() -> None:
    """Within the limit as a record, beyond it as a line: every quote has become two characters."""
    fields = {
        "type": "track",
        "event": "a",
        "timestamp": format_ms(START),
        "properties": {"x": '"' * (RECORD_BYTES_MAX // 3)},
    }
    record = envelope(fields, START)
    assert len(json.dumps(fields)) < RECORD_BYTES_MAX < len(json.dumps(record)) < LINE_BYTES_MAX
    run = Run().feed(record)
    assert (run.refused, run.replay.accounts) == ([], 1)
    too_large = envelope({**fields, "properties": {"x": "y" * RECORD_BYTES_MAX}}, START)
    assert Run().feed(too_large).refused == [RejectReason.TOO_LARGE]


def test_until_is_for_dumped_records_and_clocks_alike() -> None:
    run = Run(until=START + DAY).feed(dumped(START), clock(START + 5 * DAY), dumped(START + 2 * DAY, key="bolt"))
    assert (run.story(), run.replay.accounts, run.replay.summary.after_until) == ([], 1, 2)


def test_a_dump_of_product_events_is_resolved_and_is_one_log() -> None:
    """Its partitions know nothing of accounts: an account's records may stand in several of them."""
    product = [
        envelope(event(START + place * HOUR, account="acme"), START + place * HOUR, key=f"u{place}", partition=place)
        | {"topic": "product.events.v1"}
        for place in range(3)
    ]
    run = Run(until=START + 9 * DAY).feed(*product)
    assert run.story() == [("acme", "entered", START + 2 * HOUR + 2 * DAY)]
    assert (run.replay.accounts, run.refused) == (1, [])


def test_a_topic_prefix_changes_nothing() -> None:
    assert Run().feed(dumped(START) | {"topic": "staging.account.events.v1"}).replay.accounts == 1


# --- control records of a dump ---

OTHER: Catalog = catalog_of("mrr > 3", TWO_DAYS)


def test_the_first_catalog_record_says_what_has_applied_from_the_start() -> None:
    run = Run(follow_catalog=True, until=START + 9 * DAY).feed(catalog_change(OTHER, START), dumped(START))
    assert [one.segment for one in run.replay.finish()] == ["s1"]


def test_a_later_catalog_record_says_what_applies_from_there_on() -> None:
    first = catalog_of("True")
    run = Run(compile_catalog(first), follow_catalog=True).feed(
        catalog_change(first, START), dumped(START), catalog_change(OTHER, START + HOUR), dumped(START + 3 * DAY)
    )
    found = run.replay.finish()
    assert [(one.segment, one.direction, one.trigger) for one in found][1:] == [
        ("s0", "exited", "catalog"), ("s1", "entered", "deadline"), ("s1", "exited", ("m1772712000000", "track")),
    ]  # fmt: skip


def test_a_catalog_that_is_given_is_not_overruled() -> None:
    run = Run(program_of(TWO_DAYS), until=START + 9 * DAY).feed(catalog_change(OTHER, START), dumped(START))
    assert [one.segment for one in run.replay.finish()] == ["s0"]
    assert run.replay.summary.controls == {"catalog": 1}


def test_a_catalog_record_without_content_asks_for_it() -> None:
    run = Run(follow_catalog=True).feed(catalog_change(OTHER, START, content=None))
    assert run.refused == [RejectReason.UNKNOWN_CONTROL]
    assert "give it with --catalog" in run.details[0]


def test_a_first_catalog_record_in_the_middle_asks_for_what_came_before() -> None:
    run = Run(follow_catalog=True).feed(dumped(START), catalog_change(OTHER, START + HOUR))
    assert run.refused == [RejectReason.UNKNOWN_CONTROL]


@pytest.mark.parametrize(
    "content", [{"format": 1}, {"format": 1, "name": "x", "segments": [{"id": "a", "when": "foo"}]}]
)
def test_a_catalog_record_with_a_broken_catalog_is_refused(content: dict[str, Any]) -> None:
    run = Run(follow_catalog=True).feed(catalog_change(OTHER, START, version="other", content=content))
    assert run.refused == [RejectReason.BAD_CONTROL]


def test_erasures_and_thresholds_are_obeyed() -> None:
    program = program_of('top_percent("load", 50)', definitions={"load": 'count("a")'})
    thresholds = {"day": "2026-03-03", "measures": {"load": {"count": 3, "percentiles": [1.0] * 101}}}
    run = Run(program).feed(
        dumped(START, key="acme"),
        dumped(START, key="bolt"),
        control("erase", {"account_id": "acme"}, START),
        control("thresholds", thresholds, MIDNIGHT),
        dumped(START + 2 * DAY, key="acme"),
    )
    assert run.story() == [("bolt", "entered", MIDNIGHT)]
    assert run.replay.summary.outcomes[Outcome.SUPPRESSED] == 1
    assert run.replay.summary.controls == {"erase": 1, "thresholds": 1}


# --- the daily look at all accounts ---


def test_in_plain_lines_accounts_are_ranked_every_midnight() -> None:
    program = program_of('top_percent("load", 50)', definitions={"load": 'count("a", days=2)'})
    lines = [event(START + place, account=f"account{often}") for often in range(1, 5) for place in range(often)]
    run = Run(program, until=START + 5 * DAY).feed(*lines)
    assert run.story() == [
        ("account3", "entered", MIDNIGHT),
        ("account4", "entered", MIDNIGHT),
        ("account1", "entered", MIDNIGHT + DAY),  # two days later all are equal
        ("account2", "entered", MIDNIGHT + DAY),
    ]


def test_a_look_is_taken_when_arrival_passes_midnight_by_the_grace() -> None:
    program = program_of('top_percent("load", 50)', definitions={"load": 'count("a", days=30)'})
    run = Run(program).feed(event(START), event(MIDNIGHT + GRACE - 1, account="bolt"))
    assert run.story() == []
    run = Run(program).feed(event(START), event(MIDNIGHT + GRACE, account="bolt"))
    assert run.story() == [("acme", "entered", MIDNIGHT), ("bolt", "entered", MIDNIGHT + GRACE)]


# --- memory ---


def test_accounts_beyond_what_a_worker_keeps_decoded_rest_as_bytes() -> None:
    """What comes out is the same; only where accounts are ranked, and looked at every day, do all stay decoded."""
    lines = [event(START + place * HOUR, account=f"account{place % 9}") for place in range(60)]
    rested = Run(until=START + 20 * DAY)
    for line in lines:
        rested.feed(line)
        rested.replay.rest(5)
    assert not rested.replay.partitions[0].has_changes(), "all of them were stored"
    kept = Run(until=START + 20 * DAY).feed(*lines)
    assert kept.replay.partitions[0].has_changes()
    assert told(rested.replay.finish()) == told(kept.replay.finish()) != []
    ranked = Run(program_of('top_percent("load", 50)', definitions={"load": 'count("a")'})).feed(*lines)
    ranked.replay.rest(5)
    assert ranked.replay.partitions[0].has_changes()


def test_transitions_may_be_taken_on_the_way() -> None:
    lines = [event(START + place * DAY, account=f"account{place % 5}") for place in range(30)]
    late = told(Run(until=START + 60 * DAY).feed(*lines).replay.finish())
    run = Run(until=START + 60 * DAY)
    early: list[tuple[Any, ...]] = []
    for line in lines:
        early += told(run.feed(line).replay.take_transitions())
    assert 0 < len(early) < len(late)
    assert sorted(early + told(run.replay.finish())) == sorted(late)
