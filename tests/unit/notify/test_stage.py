"""The stage: what a flush writes, and what a restart makes of it."""

import asyncio
import random
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.action import Action
from schemas.dead_letter import DeadLetter, RejectReason
from schemas.inbox import CommandKind, SilenceOrder
from schemas.playbook import Play
from schemas.timestamps import format_ms
from streams.connectors.dialects import Dialect
from streams.connectors.message import Message
from streams.connectors.outcome import Outcome, OutcomeKind, ok, throttled
from streams.deliveries.history import latest, of_delivery
from streams.deliveries.ledger import read
from streams.metric_registry import Metrics
from streams.metrics import BREAKER_STATES
from streams.notify.courier import outbox, stage
from streams.notify.courier.rows import decode_delivery, encode_delivery
from streams.notify.courier.threads import Threads
from streams.notify.deliver.breaker import BreakerState
from streams.notify.plan.delivery import delivery_id
from streams.notify.plan.roster import RosterMember
from streams.runtime.dead_letters import original_headers, retry_headers
from streams.runtime.stage import StageFailure
from tests.unit.notify.harness import TOPICS, FakeConnector, FakeDestination, Harness, Row, playbooks
from tests.unit.notify.world import NOW_MS, delivery, play, raw

K = OutcomeKind
T1 = delivery_id("team", "t-acme-1", "plain")
T2 = delivery_id("team", "t-acme-2", "plain")


def harness(answer=lambda _: ok(), **more) -> Harness:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003
    return Harness({"team": FakeConnector(answer)}, **more)


async def test_a_transition_becomes_a_message_and_an_action() -> None:
    async with harness(lambda _: ok("ts-1")).worker() as h:
        await h.through(raw())
        [sent] = h.connectors["team"].received
        assert (sent.delivery_id, sent.attempt, sent.play) == (T1, 1, "team")
        assert (sent.rendered.title, sent.rendered.body) == ("acme at_risk", "acme")
        [action] = h.actions()
        assert Action.model_validate(action).model_dump(mode="json") == action == {
            "delivery_id": T1, "transition_id": "t-acme-1", "account_id": "acme", "segment": "at_risk",
            "direction": "entered", "playbook": "team", "destination": "team", "connector": "slack",
            "outcome": "delivered", "reason": "delivered", "attempt": 1, "at": "2026-03-01T12:34:58.000Z",
            "detail": "", "ref": "ts-1", "kind": "note", "items": [], "arm": None, "scheduled_at": None,
        }  # fmt: skip
        assert (h.delivery_rows(), h.committed) == ({}, 1)
        assert {name: count for name, count in h.stage.counts.items() if count} == {
            "deliveries:team:planned": 1, "deliveries:team:delivered": 1,
        }  # fmt: skip


async def test_what_is_not_told_is_recorded_with_the_reason() -> None:
    async with harness().worker() as h:
        await h.through(
            raw(sequence=1, effective_at="2020-01-01T00:00:00Z"), raw(sequence=2, trigger="catalog"), raw(sequence=3)
        )
        assert [(a["transition_id"], a["outcome"], a["reason"]) for a in h.actions()] == [
            ("t-acme-1", "suppressed", "stale"),
            ("t-acme-2", "suppressed", "catalog_change"),
            ("t-acme-3", "delivered", "delivered"),
        ]


async def test_what_no_play_waits_for_is_counted_and_leaves_no_trace() -> None:
    async with harness(books=playbooks([play(id="team", segment="champion")])).worker() as h:
        await h.through(raw())
        assert (h.outputs, h.log) == ([], [])


async def test_what_is_no_transition_becomes_a_dead_letter_with_its_original_bytes() -> None:
    async with harness().worker() as h:
        await h.through(b"{broken", raw(sequence=2))
        [letter] = h.dead_letters()
        assert (letter.key, letter.value) == (b"acme", b"{broken")
        assert dict(letter.headers)["ce_id"] == b"t-1"
        told = DeadLetter.from_headers(letter.headers)
        assert (told.original_topic, told.original_partition, told.original_offset) == (TOPICS.transitions, 0, 0)
        assert (told.reason, told.first_seen) == (RejectReason.NOT_JSON, "2026-03-01T12:34:58.000Z")
        assert h.connectors["team"].ids == [T2]
        assert h.committed == 1


@pytest.mark.parametrize(("kind", "reason"), [(K.REJECTED, "rejected"), (K.GONE, "destination_gone")])
async def test_what_is_refused_for_good_becomes_a_dead_letter_that_names_the_delivery(kind: K, reason: str) -> None:
    async with harness(lambda _: Outcome(kind, "400 invalid_payload")).worker() as h:
        await h.through(raw())
        [letter] = h.dead_letters()
        assert letter.value == raw()
        headers = dict(letter.headers)
        assert {name: headers[name] for name in headers if name.startswith("pegel-")} == {
            "pegel-original-topic": TOPICS.transitions.encode(), "pegel-original-partition": b"0",
            "pegel-original-offset": b"0", "pegel-reason": reason.encode(), "pegel-detail": b"400 invalid_payload",
            "pegel-first-seen": b"2026-03-01T12:34:58.000Z", "pegel-delivery-id": T1.encode(),
            "pegel-destination": b"team", "pegel-play": b"team", "pegel-stage": b"courier", "pegel-retries": b"0",
            "pegel-original-timestamp": b"2026-03-01T12:34:58.000Z",
        }  # fmt: skip
        [action] = h.actions()
        assert (action["outcome"], action["reason"], action["attempt"]) == ("dead_lettered", reason, 1)
        assert h.delivery_rows() == {}


async def test_a_template_that_fails_on_this_news_costs_a_dead_letter_and_no_attempt() -> None:
    books = playbooks(body="{{ values['not there'] | number }}")
    async with harness(books=books).worker() as h:
        await h.through(raw())
        [action] = h.actions()
        assert (action["reason"], action["attempt"], h.connectors["team"].ids) == ("template_failed", 0, [])
        assert "body" in action["detail"]
        assert len(h.dead_letters()) == 1


async def test_an_open_delivery_has_a_row_and_the_offset_goes_on() -> None:
    async with harness(lambda _: Outcome(K.RETRY_DESTINATION, "503")).worker() as h:
        await h.through(raw())
        assert (list(h.delivery_rows()), h.committed) == ([T1], 1)
        known = decode_delivery("team", T1, h.delivery_rows()[T1])
        assert (known.attempts, known.strikes, known.planned_at_ms) == (1, 1, NOW_MS)
        assert 4_000 <= known.not_before_ms - NOW_MS <= 6_000
        assert [(a["outcome"], a["attempt"], a["detail"]) for a in h.actions()] == [("retrying", 1, "503")]
        assert h.stage.gauges["open_deliveries:team"] == 1


async def test_when_it_succeeds_its_row_becomes_a_tombstone_in_the_flush_of_its_action() -> None:
    answers = iter([Outcome(K.RETRY_DESTINATION, "503")])
    async with harness(lambda _: next(answers, ok())).worker() as h:
        await h.through(raw())
        await h.turn(after_ms=7_000)
        assert h.stage.dirty()
        h.flush()
        assert h.delivery_rows() == {}
        assert [(a["outcome"], a["attempt"]) for a in h.actions()] == [("retrying", 1), ("delivered", 2)]
        assert h.connectors["team"].ids == [T1, T1]


async def test_being_throttled_is_kept_in_the_row_but_makes_no_action() -> None:
    async with harness(lambda _: throttled(30, "429")).worker() as h:
        await h.through(raw())
        assert (len(h.delivery_rows()), h.actions()) == (1, [])
        assert (h.stage.counts["deliveries:team:throttled"], h.stage.counts["throttled_seconds:team"]) == (1, 30)


async def test_after_a_crash_what_was_flushed_is_not_repeated_and_what_was_open_goes_on() -> None:
    h = harness(
        lambda message: ok() if "1" in message.transition["transition_id"] else Outcome(K.AMBIGUOUS, "timed_out")
    )
    async with h.worker():
        await h.through(raw(sequence=1), raw(sequence=2))
    h.connectors = {"team": FakeConnector()}
    async with h.worker():
        h.read()
        await h.turn(after_ms=7_000)
        h.flush()
        assert [(m.delivery_id, m.attempt) for m in h.connectors["team"].received] == [(T2, 2)]
        assert h.delivery_rows() == {}


async def test_after_a_crash_what_was_delivered_but_not_flushed_is_repeated_with_the_same_id() -> None:
    h = harness()
    async with h.worker():
        h.write(raw())
        h.read()
        await h.turn()
        assert h.connectors["team"].ids == [T1]
    async with h.worker():
        h.read()
        await h.turn()
        h.flush()
    assert h.connectors["team"].ids == [T1, T1]
    assert [a["outcome"] for a in h.actions()] == ["delivered"]


async def test_settling_waits_for_what_is_under_way_and_starts_nothing_more() -> None:
    h = harness()
    async with h.worker():
        h.connectors["team"].gate.clear()
        h.write(*(raw(sequence=number) for number in range(1, 4)))
        h.read()
        await h.turn()
        settling = asyncio.create_task(h.stage.settle())
        await h.turn_without_tick()
        h.connectors["team"].gate.set()
        await settling
        h.flush()
        assert h.connectors["team"].ids == [T1]
        assert [a["delivery_id"] for a in h.actions()] == [T1]
        assert len(h.delivery_rows()) == 2


async def test_a_partition_that_stays_after_settling_goes_on_where_it_was() -> None:
    h = harness()
    async with h.worker():
        h.connectors["team"].gate.clear()
        h.write(*(raw(sequence=number) for number in range(1, 4)))
        h.read()
        await h.turn()
        settling = asyncio.create_task(h.stage.settle())
        await h.turn_without_tick()
        h.connectors["team"].gate.set()
        await settling
        h.stage.on_tick(h.clock(), caught_up=True)
        await h.turn()
        h.flush()
        assert [m.transition["sequence"] for m in h.connectors["team"].received] == [1, 2, 3]
        assert h.delivery_rows() == {}


async def test_a_partition_that_comes_back_while_its_message_is_under_way_does_not_send_it_twice() -> None:
    h = harness()
    async with h.worker():
        h.connectors["team"].gate.clear()
        h.write(raw())
        h.read()
        await h.turn()
        h.flush()
        h.stage.close()
        h.stage = h.new_stage()
        await h.turn()
        h.connectors["team"].gate.set()
        await h.turn()
        h.flush()
        assert h.connectors["team"].ids == [T1]
        assert (h.delivery_rows(), [a["outcome"] for a in h.actions()]) == ({}, ["delivered"])


async def test_after_a_restart_an_account_is_told_in_the_order_of_its_transitions_whatever_the_rows_order() -> None:
    h = harness(lambda _: Outcome(K.AUTH, "403 invalid_token"))
    async with h.worker():
        await h.through(*(raw(sequence=number) for number in range(1, 6)))
    h.rows = dict(reversed(h.rows.items()))
    h.connectors = {"team": FakeConnector()}
    async with h.worker():
        await h.turn()
        h.flush()
        assert [message.transition["sequence"] for message in h.connectors["team"].received] == [1, 2, 3, 4, 5]


async def test_an_end_that_belongs_to_an_earlier_owner_of_the_partition_settles_nothing() -> None:
    h = harness()
    async with h.worker():
        h.connectors["team"].gate.clear()
        h.write(raw())
        h.read()
        await h.turn()
        h.stage.close()
        h.stage = h.new_stage()
        h.connectors["team"].gate.set()
        await h.turn()
        assert not h.stage.dirty()
        h.read()
        await h.turn()
        h.flush()
        assert h.connectors["team"].ids == [T1, T1]
        assert [a["outcome"] for a in h.actions()] == ["delivered"]


async def test_an_old_stage_that_closes_late_takes_nothing_from_the_new_one() -> None:
    h = harness()
    async with h.worker():
        old, h.stage = h.stage, h.new_stage()
        h.write(raw())
        h.read()
        old.close()
        await h.turn()
        h.flush()
        assert h.connectors["team"].ids == [T1]
        assert [a["outcome"] for a in h.actions()] == ["delivered"]


async def test_what_waited_too_long_becomes_a_dead_letter_though_nobody_asks_the_destination() -> None:
    h = harness(lambda _: Outcome(K.AUTH, "403 invalid_token"))
    async with h.worker():
        await h.through(raw(account="a"), raw(account="b"))
        asked = len(h.connectors["team"].ids)
        h.desk._couriers["team"].dispatch.breaker = h.desk._couriers["team"].dispatch.breaker.refused(h.clock() + 10**9)
        await h.turn(after_ms=72 * 3_600_000 + 2_000)
        h.flush()
        assert len(h.connectors["team"].ids) == asked
        assert [a["reason"] for a in h.actions()][-2:] == ["expired", "expired"]
        assert (len(h.dead_letters()), h.delivery_rows()) == (2, {})


async def test_a_delivery_whose_play_is_gone_after_a_restart_is_dead_lettered_not_sent() -> None:
    h = harness(lambda _: Outcome(K.RETRY_RECORD, "423"))
    async with h.worker():
        await h.through(raw())
    h.books = playbooks([play(id="other", segment="champion")])
    async with h.worker():
        await h.turn()
        h.flush()
        assert [a["reason"] for a in h.actions()] == ["retry_record", "play_removed"]
        assert (len(h.dead_letters()), h.delivery_rows()) == (1, {})


async def test_one_dead_destination_harms_no_other() -> None:
    h = Harness({"dead": FakeConnector(lambda _: Outcome(K.RETRY_DESTINATION, "503")), "well": FakeConnector()})
    async with h.worker():
        for sequence in range(1, 101):
            await h.through(raw(sequence=sequence))
        assert len(h.connectors["well"].ids) == 100
        assert len(h.connectors["dead"].ids) == 1
        assert (len(h.delivery_rows()), h.committed) == (100, 200)


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many open deliveries a destination keeps in memory."""
    monkeypatch.setattr(stage, "window_max", lambda _: 10)
    return 10


async def test_what_memory_has_no_room_for_lies_in_the_changelog_and_is_delivered_in_order(window: int) -> None:
    h = harness(lambda _: Outcome(K.AUTH, "403 invalid_token"))
    async with h.worker():
        for number in range(100):
            await h.through(raw(account=f"a{number % 7}", sequence=number))
            assert h.stage.posts["team"].outbox.in_memory <= window
        assert not h.stage.saturated()
        assert (len(h.delivery_rows()), h.committed, h.stage.gauges["open_deliveries:team"]) == (100, 100, 100)
        h.connectors["team"].answer = lambda _: ok()
        h.connectors["team"].received.clear()
        h.readings.failures = 3
        for _ in range(200):
            await h.turn(after_ms=5_000)
            assert h.stage.posts["team"].outbox.in_memory <= window
            h.flush()
        told = [message.transition["sequence"] for message in h.connectors["team"].received]
        assert sorted(told) == list(range(100))
        for account in range(7):
            assert [one for one in told if one % 7 == account] == list(range(account, 100, 7))
        assert (h.delivery_rows(), h.stage.gauges["open_deliveries:team"]) == ({}, 0)


async def test_what_is_spilled_is_found_again_by_the_next_worker_and_what_comes_then_does_not_overtake_it(
    window: int,
) -> None:
    h = harness(lambda _: Outcome(K.AUTH, "403 invalid_token"))
    async with h.worker():
        await h.through(*(raw(sequence=number) for number in range(30)))
    h.rows = dict(reversed(h.rows.items()))
    h.connectors = {"team": FakeConnector()}
    async with h.worker():
        assert h.stage.posts["team"].outbox.in_memory == window
        h.write(*(raw(sequence=number) for number in range(30, 40)))
        for _ in range(100):
            h.read()
            await h.turn(after_ms=5_000)
            h.flush()
        assert [message.transition["sequence"] for message in h.connectors["team"].received] == list(range(40))
        assert h.delivery_rows() == {}


@pytest.mark.usefixtures("window")
async def test_a_delivery_may_be_dropped_wherever_it_waits_even_under_way() -> None:
    h = harness(lambda _: Outcome(K.RETRY_RECORD, "423"))
    ids = [delivery_id("team", f"t-acme-{number}", "plain") for number in range(30)]
    async with h.worker():
        h.connectors["team"].gate.clear()
        h.write(*(raw(sequence=number) for number in range(30)))
        h.read()
        await h.turn()
        h.flush()
        for number in (0, 5, 25):
            h.command(CommandKind.DROP, delivery_id=ids[number])
        h.read()
        h.connectors["team"].gate.set()
        await h.turn()
        h.flush()
        assert h.delivery_rows().keys() == set(ids) - {ids[0], ids[5], ids[25]}
        assert [(a["delivery_id"], a["outcome"]) for a in h.actions() if a["reason"] == "dropped"] == [
            (ids[5], "suppressed"), (ids[0], "suppressed"),
        ]  # fmt: skip
        h.connectors["team"].answer = lambda _: ok()
        for _ in range(100):
            await h.turn(after_ms=60_000)
            h.flush()
        assert set(h.connectors["team"].ids[1:]) == set(ids) - {ids[0], ids[5], ids[25]}
        assert h.delivery_rows() == {}


async def test_a_destination_that_holds_more_than_it_may_dead_letters_what_is_more(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SPILLED_MAX", 5)
    h = harness(lambda _: Outcome(K.AUTH, "403 invalid_token"))
    async with h.worker():
        await h.through(*(raw(account=f"a{number}") for number in range(20)))
        assert len(h.delivery_rows()) == window + 5
        assert {a["reason"] for a in h.actions() if a["outcome"] == "dead_lettered"} == {"backlog_full"}
        assert len(h.dead_letters()) == 20 - window - 5


async def test_a_paused_destination_gets_nothing_until_it_is_resumed_also_from_the_next_worker() -> None:
    h = harness()
    async with h.worker():
        h.command(CommandKind.PAUSE, note="maintenance")
        h.read()
        await h.through(raw(sequence=1))
        assert (h.connectors["team"].ids, len(h.delivery_rows())) == ([], 1)
    async with h.worker():
        await h.through(raw(sequence=2))
        assert h.connectors["team"].ids == []
        h.command(CommandKind.RESUME)
        h.read()
        await h.turn()
        h.flush()
        assert (h.connectors["team"].ids, h.delivery_rows()) == ([T1, T2], {})


async def test_a_destination_that_is_drained_gets_what_was_open_and_holds_what_comes_later() -> None:
    h = harness(lambda _: Outcome(K.RETRY_RECORD, "423"))
    async with h.worker():
        await h.through(raw(sequence=1))
        h.command(CommandKind.DRAIN)
        h.read()
        h.connectors["team"].answer = lambda _: ok()
        await h.through(raw(sequence=2), raw(account="other"))
        await h.turn(after_ms=10_000)
        h.flush()
        assert h.connectors["team"].ids == [T1, T1]
    h.connectors = {"team": FakeConnector()}
    async with h.worker():
        await h.through(raw(sequence=3))
        assert h.connectors["team"].ids == []
        h.command(CommandKind.RESUME)
        h.read()
        await h.turn()
        assert len(h.connectors["team"].ids) == 3


async def test_a_delivery_that_is_to_be_tried_now_does_not_wait_for_its_backoff() -> None:
    h = harness(lambda _: Outcome(K.RETRY_RECORD, "423"))
    async with h.worker():
        await h.through(raw())
        h.connectors["team"].answer = lambda _: ok()
        h.command(CommandKind.RETRY, delivery_id=T1)
        h.read()
        await h.turn()
        h.flush()
        assert (h.connectors["team"].ids, h.delivery_rows()) == ([T1, T1], {})


async def test_a_delivery_that_is_to_be_tried_now_does_not_wait_for_an_open_breaker_either() -> None:
    h = harness(lambda _: Outcome(K.AUTH, "invalid_token"))
    async with h.worker():
        await h.through(raw())
        h.connectors["team"].answer = lambda _: ok()
        await h.through(raw(account="other"))
        assert h.connectors["team"].ids == [T1]
        h.command(CommandKind.RETRY, delivery_id=T1)
        h.read()
        await h.turn()
        h.flush()
        assert h.connectors["team"].ids[:2] == [T1, T1]
        assert (len(h.connectors["team"].ids), h.delivery_rows()) == (3, {})


async def test_a_command_that_says_nothing_usable_is_a_dead_letter_and_stops_nobody() -> None:
    async with harness().worker() as h:
        h.append(b"team", b"{", [("pegel-command", b"pause")])
        h.append(b"team", b"{}", [("pegel-command", b"explode")])
        h.append(b"team", raw(), [])
        await h.through(raw())
        reasons = [DeadLetter.from_headers(letter.headers).reason.value for letter in h.dead_letters()]
        assert reasons == ["bad_control", "bad_control", "bad_headers"]
        assert h.connectors["team"].ids == [T1]


async def test_the_first_message_about_an_account_is_the_thread_of_the_later_ones_also_after_a_restart() -> None:
    h = harness(lambda message: ok(f"ts-{message.transition['sequence']}"))
    async with h.worker():
        await h.through(raw(sequence=1), raw(sequence=2))
    async with h.worker():
        await h.through(raw(sequence=3), raw(account="other", sequence=4))
        assert [message.thread_ref for message in h.connectors["team"].received] == [None, "ts-1", "ts-1", None]


async def test_a_play_that_edits_gives_its_last_message_to_be_replaced_and_no_other_plays() -> None:
    plays = [play(id="edits", destination="team", edits=True), play(id="posts", destination="team", template="other")]
    books = playbooks(plays)
    books.words["other", Dialect.PLAIN] = books.words["plain", Dialect.PLAIN]  # type: ignore[index]
    h = Harness({"team": FakeConnector(lambda m: ok(m.edit_ref or f"{m.play}-{m.transition['sequence']}"))}, books)
    async with h.worker():
        await h.through(raw(sequence=1), raw(sequence=2))
    async with h.worker():
        await h.through(raw(sequence=3), raw(account="other", sequence=4))
        refs = [(m.play, m.thread_ref, m.edit_ref) for m in h.connectors["team"].received]
        assert refs == [
            ("edits", None, None), ("posts", "edits-1", None), ("edits", "edits-1", "edits-1"),
            ("posts", "edits-1", None), ("edits", "edits-1", "edits-1"), ("edits", None, None),
            ("posts", "edits-1", None), ("posts", "edits-4", None),
        ]  # fmt: skip


async def test_threads_are_known_of_the_accounts_told_last_and_of_no_more() -> None:
    threads = Threads("team", most=2)
    for number, account in enumerate("abac"):
        threads.note(delivery(account, number), f"ts-{number}", edits=False)
    assert [threads.parent(delivery(account)) for account in "abc"] == ["ts-0", None, "ts-3"]
    assert [(key, row is None) for key, row in threads.changes()] == [
        (b"t:team:a", False), (b"t:team:b", True), (b"t:team:c", False),
    ]  # fmt: skip


async def test_the_words_of_a_message_are_the_same_bytes_on_every_attempt_whatever_the_playbook_says_by_then() -> None:
    h = Harness(
        {"team": FakeConnector(lambda _: Outcome(K.RETRY_RECORD, "423"))}, playbooks(body="old", deduplicates=True)
    )
    async with h.worker():
        await h.through(raw())
    h.books = playbooks(body="new {{ account }}", deduplicates=True)
    async with h.worker():
        await h.turn(after_ms=10_000)
        await h.through(raw(sequence=2, account="other"))
        assert [m.rendered.body for m in h.connectors["team"].received] == ["old", "old", "new other"]


async def test_what_may_have_been_attempted_by_another_worker_says_so() -> None:
    h = harness(lambda _: Outcome(K.RETRY_RECORD, "423"))
    h.write(raw(sequence=1))
    h.clock.now_ms += 3_600_000
    async with h.worker(max_age_h=None):
        await h.through()
        h.clock.now_ms += 120_000
        await h.through(raw(sequence=2, account="other"))
        assert {m.account: m.after_ambiguous for m in h.connectors["team"].received} == {"acme": True, "other": False}
    async with h.worker(max_age_h=None):
        await h.turn(after_ms=3_600_000)
        assert {m.account: m.after_ambiguous for m in h.connectors["team"].received} == {"acme": True, "other": True}


async def test_where_the_newest_state_wins_an_outdated_delivery_is_closed_with_the_reason() -> None:
    h = Harness({"team": FakeConnector(lambda _: Outcome(K.AUTH, "401"))}, playbooks(latest_wins=True))
    async with h.worker():
        await h.through(*(raw(sequence=number) for number in range(1, 6)))
        assert len(h.delivery_rows()) == 1
        h.connectors["team"].answer = lambda _: ok()
        for _ in range(3):
            await h.turn(after_ms=400_000)
        h.flush()
        assert [m.transition["sequence"] for m in h.connectors["team"].received][-1] == 5
        assert [a["reason"] for a in h.actions()].count("superseded") == 4
        assert h.delivery_rows() == {}


async def test_the_same_transition_twice_on_the_log_is_one_open_delivery() -> None:
    async with harness(lambda _: Outcome(K.RETRY_RECORD, "423")).worker() as h:
        await h.through(raw(), raw())
        assert len(h.delivery_rows()) == 1
        assert [a["reason"] for a in h.actions()] == ["already_open", "retry_record"]


async def test_a_fault_of_the_program_in_a_delivery_stops_the_worker() -> None:
    def broken(_: Message) -> Outcome:
        raise KeyError("a bug")

    h = harness(broken)
    async with h.worker():
        h.write(raw())
        h.read()
        with pytest.raises(StageFailure):
            await h.turn()


async def test_a_changelog_of_another_format_stops_the_worker_instead_of_losing_deliveries() -> None:
    h = harness()
    h.rows = {b"d:team:" + T1.encode(): b"\x91\x07"}
    with pytest.raises(StageFailure):
        async with h.worker():
            pass


async def test_the_desk_closes_its_connectors_when_the_worker_stops() -> None:
    h = harness()
    async with h.worker():
        pass
    assert h.connectors["team"].closed


def test_a_row_is_read_back_as_it_was() -> None:
    one = delivery(attempts=3, strikes=2, not_before_ms=NOW_MS + 5)
    assert decode_delivery("team", one.delivery_id, encode_delivery(one, with_words=True)) == one


HOLDING = (CommandKind.PAUSE, CommandKind.DRAIN, CommandKind.RESUME)
KINDS = (K.OK, K.OK, K.RETRY_DESTINATION, K.RETRY_RECORD, K.THROTTLED, K.AMBIGUOUS, K.AUTH)


@settings(max_examples=25, deadline=None)
@example(seed=1_831_162)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_whatever_fails_and_whenever_it_is_killed_nothing_is_lost_and_what_was_flushed_is_not_repeated(
    seed: int,
) -> None:
    chance = random.Random(seed)
    with mock.patch.object(stage, "window_max", side_effect=lambda _: chance.choice([1, 3, 4_000])):
        asyncio.run(_run_with_kills(chance))


async def _run_with_kills(chance: random.Random) -> None:
    names = ("one", "two")
    took: list[tuple[str, str]] = []
    succeeded: list[tuple[str, str]] = []
    calm = False

    def answering(name: str) -> FakeConnector:
        def answer(message: Message) -> Outcome:
            kind = K.OK if calm else chance.choice(KINDS)
            if kind is K.OK or (kind is K.AMBIGUOUS and chance.random() < 0.5):
                took.append((name, message.delivery_id))
            if kind is K.OK:
                succeeded.append((name, message.delivery_id))
            return Outcome(kind, after_s=20.0 if kind is K.THROTTLED else None)

        return FakeConnector(answer)

    h = Harness({name: answering(name) for name in names}, playbooks(names=names))
    values = [raw(account=f"a{chance.randint(0, 3)}", sequence=number) for number in range(chance.randint(1, 25))]
    h.write(*values)
    finished: set[str] = set()
    while not calm:
        calm = chance.random() < 0.15
        h.connectors = {name: answering(name) for name in names}
        async with h.worker(max_age_h=None):
            before, new = len(took), len(succeeded)
            for name in names:
                said = CommandKind.RESUME if calm else chance.choice([None, None, *HOLDING])
                if said is not None:
                    h.command(said, name)
            for turn in range(400 if calm else chance.randint(1, 12)):
                h.read(most=chance.randint(1, 6))
                # What has failed often waits for hours: the calm at the end must be longer than that.
                await h.turn(after_ms=3_600_000 if turn >= 200 else chance.choice([0, 3_000, 60_000]))
                if calm or chance.random() < 0.6:
                    h.flush()
            assert not [key for _, key in took[before:] if key in finished], "repeated after it was flushed"
            if chance.random() < 0.5:
                await h.stage.settle()
                h.flush()
                told = {a["delivery_id"] for a in h.actions() if a["outcome"] == "delivered"}
                assert told >= {key for _, key in succeeded[new:]}, "a clean stop knows of everything that was taken"
        finished = {a["delivery_id"] for a in h.actions() if a["outcome"] == "delivered"}
    _require_order(took, h)
    expected = {delivery_id(name, f"t-a{n}-{s}", "plain") for name in names for n in range(4) for s in range(25)}
    wanted = {key for key in expected if key in finished}
    assert len(finished) == len(values) * len(names) == len(wanted)
    assert finished <= {key for _, key in took}
    assert (h.delivery_rows(), h.committed, h.dead_letters()) == ({}, len(h.log), [])
    assert len([a for a in h.actions() if a["outcome"] == "delivered"]) == len(finished)


def _require_order(took: list[tuple[str, str]], h: Harness) -> None:
    """By first arrival, each destination was told of each account in the order of its transitions."""
    place = {a["delivery_id"]: (a["account_id"], int(a["transition_id"].rpartition("-")[2])) for a in h.actions()}
    first: dict[tuple[str, str], list[int]] = {}
    for name, key in dict.fromkeys(took):
        account, sequence = place[key]
        first.setdefault((name, account), []).append(sequence)
    for sequences in first.values():
        assert sequences == sorted(sequences)


async def test_a_delivery_that_is_tried_again_is_the_only_one_and_however_old() -> None:
    names = ("team", "other")
    connectors = {name: FakeConnector(lambda _: Outcome(K.REJECTED, "400")) for name in names}
    h = Harness(connectors, playbooks(names=names))
    async with h.worker():
        await h.through(raw())
        [letter] = [one for one in h.dead_letters() if dict(one.headers)["pegel-destination"] == b"team"]
        for connector in connectors.values():
            connector.answer = lambda _: ok()
        h.clock.now_ms += 400 * 86_400_000
        told = DeadLetter.from_headers(letter.headers)
        retry = [
            *original_headers(letter.headers), *retry_headers(told), ("pegel-retry-delivery", T1.encode()),
            ("pegel-destination", b"team"),
        ]  # fmt: skip
        h.write(letter.value, headers=retry)
        await h.through()
        assert (h.connectors["team"].ids, len(h.connectors["other"].ids)) == ([T1, T1], 1)
        assert [a["outcome"] for a in h.actions()].count("delivered") == 1


async def test_a_retry_that_no_play_asks_for_any_more_is_a_dead_letter_again_with_its_history() -> None:
    async with harness().worker() as h:
        retry = [
            ("pegel-retry-delivery", b"gone"),
            ("pegel-destination", b"team"),
            ("pegel-first-seen", b"2026-01-01T00:00:00Z"),
            ("pegel-retries", b"2"),
        ]
        h.write(raw(), headers=retry)
        await h.through()
        [letter] = h.dead_letters()
        told = DeadLetter.from_headers(letter.headers)
        assert (told.reason, told.retries, told.first_seen) == (
            RejectReason.PLAY_REMOVED,
            2,
            "2026-01-01T00:00:00.000Z",
        )
        assert ("pegel-retry-delivery", b"gone") in original_headers(letter.headers)
        assert h.connectors["team"].ids == []


async def test_every_level_and_count_of_a_destination_is_a_declared_metric() -> None:
    def answer(message: Message) -> Outcome:
        return throttled(30, "429") if message.account == "c" else Outcome(K.RETRY_RECORD, "423")

    async with harness(answer).worker() as h:
        await h.through(raw(account="a"), raw(account="b"), raw(account="c"))
        h.command(CommandKind.PAUSE)
        h.read()
        h.clock.now_ms += 5_000
        metrics = Metrics("courier", {"destination": ("team",)})
        assert set(BREAKER_STATES) == {state.value for state in BreakerState}
        for name, count in h.stage.counts.items():
            metrics.count(name, count)
        assert metrics.set_stage_levels([h.stage.gauges]) == []
        assert h.stage.gauges == {
            "open_deliveries:team": 3, "oldest_undelivered_seconds:team": 5, "parked_lanes:team": 2, "held:team": 1,
            "breaker:team:closed": 1, "planned_messages:team": 0, "budget_spent_messages:team": 3,
        }  # fmt: skip


@pytest.mark.usefixtures("window")
async def test_of_an_account_that_was_erased_nothing_is_told_and_nothing_is_kept() -> None:
    h = harness(lambda _: Outcome(K.AUTH, "403 invalid_token"))
    async with h.worker():
        await h.through(*(raw(account=f"a{number % 2}", sequence=number) for number in range(30)))
        h.command(CommandKind.FORGET, None, account="a1")
        h.read()
        h.connectors["team"].answer = lambda _: ok("ts")
        h.connectors["team"].received.clear()
        for _ in range(100):
            await h.turn(after_ms=60_000)
            h.flush()
        assert {message.account for message in h.connectors["team"].received} == {"a0"}
        assert len(h.connectors["team"].received) == 15
        assert [key for key in h.rows if b"a1" in key] == []
        assert h.delivery_rows() == {}


async def test_what_operators_see_is_what_the_changelog_says() -> None:
    h = Harness({name: FakeConnector(lambda _: Outcome(K.RETRY_RECORD, "423")) for name in ("team", "other")})
    async with h.worker():
        await h.through(raw())
        h.command(CommandKind.PAUSE, note="why")
        h.command(CommandKind.SILENCE, None, silence=SilenceOrder("s1", h.clock.now_ms + 1_000, account="acme"))
        h.read()
        h.flush()
        ledger = read(Row(key, row) for key, row in [(b"", b"position"), (b"\0staged", b"x"), *h.rows.items()])
        assert ledger.open.keys() == {T1, delivery_id("other", "t-acme-1", "plain")}
        assert ledger.open[T1].row() == {
            "delivery_id": T1, "destination": "team", "playbook": "team", "kind": "note", "account_id": "acme",
            "segment": "at_risk", "direction": "entered", "planned_at": "2026-03-01T12:34:58.000Z", "attempts": 1,
            "next_attempt_at": format_ms(decode_delivery("team", T1, h.delivery_rows()[T1]).not_before_ms), "items": 1,
        }  # fmt: skip
        assert {name: row.command for name, row in ledger.operators.items()} == {"team": "pause"}
        assert ledger.silences["s1"].keys() == {"team", "other"}
        assert [one["outcome"] for one in of_delivery([Row(b"", o.value) for o in h.outputs], T1)] == ["retrying"]
        [last] = latest([Row(b"", o.value) for o in h.outputs], lambda one: one["destination"] == "team", 1)
        assert last["delivery_id"] == T1


async def test_a_list_is_made_of_who_is_in_the_segment_and_told_once_also_if_the_worker_dies_over_it() -> None:
    morning = Play.model_validate(
        {
            "id": "morning", "on": {"digest": "0 8 * * *"}, "destination": "team", "template": "standard-list",
            "list": {"segment": "expiring_trial", "sort": "rate", "top": 2},
        }
    )  # fmt: skip
    h = harness(books=playbooks([morning]))
    h.roster = [RosterMember(name, NOW_MS, {"rate": rate}) for name, rate in (("a", 0.2), ("b", 0.9), ("c", 0.5))]
    async with h.worker():
        await h.turn()
        h.flush()
    for unsure in (False, True):
        async with h.worker():
            h.readings.failures = 0 if unsure else 2
            h.clock.now_ms += 0 if unsure else 86_400_000
            for _ in range(15):
                await h.turn(after_ms=0 if unsure else 1_000)
            [list_] = h.connectors["team"].received
            h.connectors["team"].received.clear()
            assert (list_.kind, [item["account_id"] for item in list_.items]) == ("list", ["b", "c"])
            assert list_.after_ambiguous is unsure
    h.flush()
    assert [(a["kind"], a["items"], a["outcome"]) for a in h.actions()] == [("list", ["b", "c"], "delivered")]


async def test_what_waits_for_a_group_is_told_by_the_next_worker_as_one_message() -> None:
    h = harness()
    grouped = FakeDestination(id="team", type="fake", group={"wait_s": 30, "by": ["segment"]})
    h.books.destinations["team"] = grouped  # type: ignore[index]
    async with h.worker():
        await h.through(*(raw(account=f"a{number}") for number in range(3)))
        assert (h.connectors["team"].ids, h.delivery_rows()) == ([], {})
        assert {action["outcome"] for action in h.actions()} == {"deferred"}
    async with h.worker():
        for _ in range(3):
            await h.turn(after_ms=31_000)
            h.flush()
        [digest] = h.connectors["team"].received
        assert (digest.kind, [item["account_id"] for item in digest.items]) == ("digest", ["a0", "a1", "a2"])
        assert digest.rendered.title == "3 changes: At risk"
        [end] = [action for action in h.actions() if action["outcome"] == "delivered"]
        assert end["items"] == ["t-a0-1", "t-a1-1", "t-a2-1"]


async def test_every_transition_of_a_digest_that_is_refused_is_a_dead_letter_and_told_alone_when_tried_again() -> None:
    h = harness(lambda _: Outcome(K.REJECTED, "400 invalid_blocks"))
    grouped = FakeDestination(id="team", type="fake", group={"wait_s": 1, "by": ["segment"]})
    h.books.destinations["team"] = grouped  # type: ignore[index]
    async with h.worker():
        await h.through(raw(account="a"), raw(account="b"))
        for _ in range(2):
            await h.turn(after_ms=2_000)
            h.flush()
        letters = h.dead_letters()
        assert [letter.value for letter in letters] == [raw(account="a"), raw(account="b")]
        h.connectors["team"].answer = lambda _: ok()
        headers = [
            *original_headers(letters[1].headers),
            *[(name, value) for name, value in letters[1].headers if name in {"pegel-destination", "pegel-play"}],
            ("pegel-retry-delivery", dict(letters[1].headers)["pegel-delivery-id"]),
        ]
        h.write(letters[1].value, headers=headers)
        await h.through()
        assert (h.connectors["team"].received[-1].account, h.connectors["team"].received[-1].kind) == ("b", "note")
