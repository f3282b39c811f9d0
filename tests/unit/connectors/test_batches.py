"""Which records a batch of messages makes, which requests, and whose fault a refusal is."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.connectors.batches import (
    NO_ACCOUNT,
    NO_TRANSITION,
    NOTHING,
    PUT_OFF,
    REQUESTS_MAX,
    Answered,
    Refused,
    asked,
    outcomes_of,
    parts,
    records_of,
    worst,
)
from streams.connectors.deadline import Deadline
from streams.connectors.message import Message, MessageKind, Rendered
from streams.connectors.outcome import Outcome, OutcomeKind, Scope, ok, throttled

BAD = Outcome(OutcomeKind.REJECTED, "bad")
RETRY = Outcome(OutcomeKind.RETRY_RECORD, "later")
DOWN = Outcome(OutcomeKind.RETRY_DESTINATION, "503")


def item(account: str, segment: str = "s", sequence: int = 1) -> dict[str, Any]:
    return {"account_id": account, "segment": segment, "sequence": sequence, "direction": "entered"}


def message(
    *items: dict[str, Any], kind: MessageKind = MessageKind.NOTE, facts: dict[str, str] | None = None
) -> Message:
    leading = items[0] if items else {}
    return Message("d", 1, 0, "p", leading, Rendered("t", ""), kind=kind, items=items, facts=facts or {})


def test_a_record_is_put_together_from_all_that_is_said_of_its_account() -> None:
    messages = [message(item("a", "old")), message(item("b")), message(item("a", "new"))]
    records, without = records_of(messages, "account_id", {"p": "segment"})
    assert [(record.key, record.fields, record.messages) for record in records] == [
        ("a", {"p": "new"}, [0, 2]), ("b", {"p": "s"}, [1]),
    ]  # fmt: skip
    assert without == {}
    assert outcomes_of(3, records, [BAD, ok()], without) == [BAD, ok(), BAD]


def test_a_digest_writes_the_records_of_all_its_accounts_and_ends_as_the_worst_of_them() -> None:
    records, without = records_of(
        [message(item("a"), item("b"), item("a", "z"), kind=MessageKind.DIGEST)], "account_id", {"p": "segment"}
    )
    assert [(record.key, record.fields["p"]) for record in records] == [("a", "z"), ("b", "s")]
    assert outcomes_of(1, records, [ok(), RETRY], without) == [RETRY]


def test_what_is_about_no_transition_or_no_known_account_is_rejected() -> None:
    messages = [message(kind=MessageKind.TEST), message(item("a"), kind=MessageKind.LIST), message(item("a"))]
    records, without = records_of(messages, "fact.crm", {"p": "segment"})
    assert (records, without) == ([], {0: NO_TRANSITION, 1: NO_TRANSITION, 2: NO_ACCOUNT})
    records, _ = records_of([message(item("a"), facts={"crm": "77"})], "fact.crm", {"p": "segment"})
    assert [record.key for record in records] == ["77"]


def test_the_last_transition_of_an_account_is_what_it_is_now_in_whatever_order_they_stand() -> None:
    digest = message(item("a", "newest", 3), item("a", "oldest", 1), item("a", "middle", 2), kind=MessageKind.DIGEST)
    [record], _ = records_of([digest], "account_id", {"p": "segment"})
    assert record.fields == {"p": "newest"}


def test_a_message_that_would_write_nothing_is_rejected_and_one_that_writes_something_is_not() -> None:
    alone = message(item("a"))
    both = message(item("b"), item("c"), kind=MessageKind.DIGEST, facts={"owner": "anna"})
    records, without = records_of([alone, both], "account_id", {"p": "fact.owner"})
    assert [(record.key, record.messages) for record in records] == [("b", [1])]
    assert without == {0: NOTHING}


def test_what_is_tried_again_is_worse_than_what_is_not() -> None:
    assert worst([ok(), BAD, RETRY]) == RETRY
    assert worst([BAD, ok()]) == BAD
    assert worst([RETRY, DOWN, throttled(1, "x")]) == DOWN


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 9), st.integers(50, 120))
def test_parts_cover_all_in_order_within_the_limits(sizes: list[int], count_max: int, bytes_max: int) -> None:
    cut = list(parts(sizes, count_max, bytes_max))
    assert [n for part in cut for n in range(part.start, part.stop)] == list(range(len(sizes)))
    assert all(part.stop - part.start <= count_max and sum(sizes[part]) <= bytes_max for part in cut)


class Provider:
    """Refuses a request whole if any of it is bad."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.asked: list[list[int]] = []
        self.answer: Outcome | None = None

    async def ask(self, records: Sequence[int]) -> Answered:
        self.asked.append(list(records))
        if self.answer is not None and len(self.asked) > 1:
            return [self.answer] * len(records)
        return Refused(BAD) if self.bad & set(records) else [ok(str(n)) for n in records]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 100), st.sets(st.integers(0, 99), max_size=2))
async def test_a_few_bad_records_keep_no_good_one_from_getting_through(count: int, bad: set[int]) -> None:
    provider = Provider(bad)
    outcomes = await asked(range(count), provider.ask, lambda: True)
    assert outcomes == [BAD if n in bad else ok(str(n)) for n in range(count)]
    assert len(provider.asked) <= REQUESTS_MAX


async def test_many_bad_ones_cost_a_bounded_number_of_requests_and_fewer_are_left_each_time() -> None:
    left = list(range(100))
    calls = 0
    while left:
        provider = Provider(set(range(100)))
        outcomes = await asked(left, provider.ask, lambda: True)
        assert len(provider.asked) <= REQUESTS_MAX
        still = [n for n, outcome in zip(left, outcomes, strict=True) if outcome is PUT_OFF]
        assert len(still) < len(left)
        left, calls = still, calls + 1
    assert calls < 20


async def test_a_failure_of_the_destination_ends_the_asking() -> None:
    for answer in (DOWN, throttled(5, "429"), Outcome(OutcomeKind.AUTH, "401")):
        provider = Provider({5})
        provider.answer = answer
        assert await asked(range(8), provider.ask, lambda: True) == [answer] * 8
        assert len(provider.asked) == 2
    provider = Provider({5})
    provider.answer = throttled(5, "423", Scope.ACCOUNT)
    await asked(range(8), provider.ask, lambda: True)
    assert len(provider.asked) == 3


async def test_what_there_is_no_time_for_is_put_off_which_is_no_attempt() -> None:
    provider = Provider({0})
    times = iter([True, True, False])
    outcomes = await asked(range(4), provider.ask, lambda: next(times))
    assert (outcomes, PUT_OFF.kind, PUT_OFF.scope) == ([PUT_OFF] * 4, OutcomeKind.THROTTLED, Scope.ACCOUNT)
    assert await asked([], provider.ask, lambda: True) == []


async def test_a_deadline_ends() -> None:
    assert Deadline(60.0).in_time()
    assert not Deadline(0.01).in_time()
    assert Deadline(-1.0).left_s == 0.0
