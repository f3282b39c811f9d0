from typing import Any

import pytest

from streams.engine import codec, partition
from streams.engine.apply import Noted
from streams.engine.codec import StateError
from streams.engine.partition import Outcome, Partition
from streams.engine.population import Thresholds
from streams.engine.rules.linear import NEVER
from tests.unit.engine.building import DAY, GRACE, HOUR, MIDNIGHT, START, Log, event_of, program_of

TWO_DAYS = 'since(last("a")) >= 2'


def restored(log: Log, *more: tuple[str, bytes | None]) -> Log:
    """A partition brought up from what another has stored."""
    other = Log(log.program)
    for account_id, stored in [*log.partition.take_changes(), *more]:
        other.partition.restore(account_id, stored)
    other.partition.resume(log.partition.standing())
    other.ids = log.ids
    return other


# --- records ---


def test_every_record_has_an_outcome() -> None:
    log = Log(program_of("True"))
    outcomes = [
        log.track("a", START - 100 * DAY, a=START),
        log.track("a", START, message="m"),
        log.track("a", START, message="m"),
        log.track("a", START - 100 * DAY, a=START),
    ]
    assert outcomes == [Outcome.TOO_LATE, Outcome.APPLIED, Outcome.DUPLICATE, Outcome.TOO_LATE]
    counts = log.partition.counts
    assert (counts[Noted.APPLIED], counts[Noted.DUPLICATE], counts[Noted.TOO_LATE]) == (1, 1, 2)


def test_an_account_exists_from_its_first_record_that_is_applied() -> None:
    log = Log(program_of("True"))
    log.track("a", START - 100 * DAY, a=START, message="m")
    assert (len(log.partition), log.partition.has_changes()) == (0, False)
    assert log.track("a", START, message="m") is Outcome.APPLIED, "what was too late for nobody is not remembered"
    assert "acme" in log.partition


# --- the heap ---


def test_deadlines_of_all_accounts_fire_in_order() -> None:
    log = Log(program_of(TWO_DAYS))
    for place, account in enumerate(("c", "a", "b")):
        log.track("a", START + place * HOUR, account=account)
    assert log.partition.next_deadline() == START + 2 * DAY
    log.until(START + 3 * DAY)
    assert [found.account_id for found in log.transitions] == ["c", "a", "b"]
    assert log.partition.next_deadline() == NEVER
    assert log.partition.counts[Noted.DEADLINE] == 3


def entries(log: Log) -> int:
    """How many there are in the queue, also those that do not count any more."""
    found = log.partition._deadlines._entries.values()
    return sum(1 if isinstance(there, str) else len(there) for there in found)


def test_deadlines_of_one_moment_all_fire() -> None:
    log = Log(program_of(TWO_DAYS))
    for account in ("c", "a", "b"):
        log.track("a", START, account=account)
    log.until(START + 3 * DAY)
    assert sorted(found.account_id for found in log.transitions) == ["a", "b", "c"]


def test_a_deadline_that_moved_ahead_is_found_where_it_is() -> None:
    log = Log(program_of(TWO_DAYS))
    for day in range(5):
        log.track("a", START + day * DAY)
    assert entries(log) == 1, "events that put a deadline off cost nothing here"
    assert log.partition.next_deadline() <= log.account().next_at
    log.until(START + 6 * DAY - 1)
    assert log.story() == []
    log.until(START + 6 * DAY)
    assert log.story() == [("s0", "entered", START + 6 * DAY)]


def test_a_deadline_that_moved_closer_overtakes_its_old_entry() -> None:
    log = Log(program_of('since(time(trait("due"))) >= 0'))
    log.group({"due": "2026-04-01T00:00:00Z"}, START)
    log.group({"due": "2026-03-05T00:00:00Z"}, START + HOUR)
    assert entries(log) == 2
    log.until(START + 100 * DAY)
    assert log.story() == [("s0", "entered", MIDNIGHT + 2 * DAY)]
    assert (entries(log), log.partition.pending_deadlines()) == (0, 0)


def test_the_queue_stays_small_however_often_a_deadline_moves() -> None:
    log = Log(program_of('since(time(trait("due"))) >= 0', 'count("a", days=3) > 0'))
    for day in range(60):
        log.track("a", START + day * DAY)
        log.group({"due": f"2027-01-{1 + day % 28:02}T00:00:00Z"}, START + day * DAY)
        log.clock(START + day * DAY)
    assert entries(log) <= 4


def test_accounts_without_a_deadline_are_not_in_the_queue() -> None:
    log = Log(program_of("mrr > 3"))
    log.group({"mrr": 5}, START)
    assert (entries(log), log.partition.next_deadline()) == (0, NEVER)


# --- memory ---


@pytest.mark.interpreted
def test_the_longest_decoded_accounts_go_back_to_bytes_and_their_future_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition, "LIVE_ACCOUNTS_MAX", 2)
    program = program_of(TWO_DAYS, 'count("a", days=3) >= 2')
    crowded, roomy = Log(program), Log(program)
    for log in (crowded, roomy):
        for hour in range(12):
            log.track("a", START + hour * HOUR, account=f"account{hour % 5}")
            if log is crowded:
                log.partition.take_changes()
                assert len(log.partition._live) <= 2
        log.clock(START + 10 * DAY)
    assert len(crowded.partition) == len(roomy.partition) == 5
    assert sorted(crowded.story()) == sorted(roomy.story())
    assert all(f"account{number}" in crowded.partition for number in range(5))


def test_an_untouched_account_stays_as_it_was_stored() -> None:
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    log.track("a", START, account="bolt")
    again = restored(log)
    again.track("a", START + HOUR)
    assert [account_id for account_id, _ in again.partition.take_changes()] == ["acme"]
    assert (set(again.partition._live), set(again.partition._stored)) == ({"acme"}, {"bolt"})


# --- changes ---


def test_an_account_is_encoded_once_however_many_records_it_took() -> None:
    log = Log(program_of("True"))
    for hour in range(5):
        log.track("a", START + hour * HOUR)
        log.track("a", START + hour * HOUR, account="bolt")
    changes = log.partition.take_changes()
    assert [account_id for account_id, _ in changes] == ["acme", "bolt"]
    assert codec.decode(changes[0][1]).total == 5
    assert log.partition.take_changes() == []
    assert not log.partition.has_changes()


def test_transitions_are_taken_once() -> None:
    program = program_of("True")
    engine = Partition(program)
    event, raw = event_of({"type": "track", "event": "a"})
    engine.apply("acme", event, raw, START)
    assert engine.has_changes()
    assert len(engine.take_transitions()) == 1
    assert engine.take_transitions() == []


def test_a_membership_is_reported_after_a_transition_and_once_a_day_if_active() -> None:
    log = Log(program_of("mrr > 3"))
    reported: list[tuple[int, int]] = []

    def report(at: int) -> None:
        reported.extend((at, account.sequence) for _, account, _ in log.partition.take_reportable())
        log.partition.take_changes()

    steps: list[tuple[int, Any]] = [
        (0, lambda at: log.track("a", at)),  # active: the first of its day
        (1, lambda at: log.track("a", at)),
        (2, lambda at: log.group({"mrr": 5}, at)),  # a transition
        (3, lambda at: log.group({"mrr": 6}, at)),
        (24, lambda at: log.group({"mrr": 7}, at)),  # another day, but nothing active about it
        (25, lambda at: log.track("a", at)),
        (26, lambda at: log.track("a", at)),
    ]
    for hour, put in steps:
        put(START + hour * HOUR)
        report(hour)
    assert reported == [(0, 0), (2, 1), (25, 1)]


def test_what_was_reported_is_remembered_by_the_state() -> None:
    log = Log(program_of("True"))
    log.track("a", START)
    assert len(log.partition.take_reportable()) == 1
    again = restored(log)
    again.track("a", START + HOUR)
    assert again.partition.take_reportable() == []


# --- restore ---


def test_a_restored_partition_has_the_same_future() -> None:
    program = program_of(TWO_DAYS, {"when": 'count("a", days=3) >= 2', "min_dwell_days": 1}, "since(signed_up_at) < 9")
    log = Log(program)
    for account in ("acme", "bolt"):
        log.track("a", START, account=account)
    log.clock(START + DAY)
    again = restored(log)
    for one in (log, again):
        one.transitions.clear()
        one.track("a", START + HOUR, a=START + DAY, message="m")
        one.clock(START + 20 * DAY)
    assert log.transitions == again.transitions
    assert len(log.transitions) > 3


def test_the_last_row_of_an_account_counts_and_a_tombstone_removes_it() -> None:
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    (first,) = log.partition.take_changes()
    log.track("a", START + 10 * DAY)
    again = Log(log.program)
    (second,) = log.partition.take_changes()
    for account_id, stored in (first, second):
        again.partition.restore(account_id, stored)
    assert again.account().total == 2
    gone = Log(log.program)
    rows: list[tuple[str, bytes | None]] = [first, second, ("acme", None), ("nobody", None)]
    for account_id, row in rows:
        gone.partition.restore(account_id, row)
    assert (len(gone.partition), "acme" in gone.partition) == (0, False)
    gone.clock(START + 100 * DAY)
    assert gone.transitions == []


def test_a_removed_account_may_come_back() -> None:
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    (row,) = log.partition.take_changes()
    again = Log(log.program)
    rows: list[bytes | None] = [row[1], None, row[1]]
    for stored in rows:
        again.partition.restore("acme", stored)
    again.clock(START + 10 * DAY)
    assert again.story() == [("s0", "entered", START + 2 * DAY)]


def test_an_unreadable_row_is_refused_at_once() -> None:
    with pytest.raises(StateError, match="version 99"):
        Partition(program_of("True")).restore("acme", b"\x63" + bytes(20))


# --- erasure ---


def test_an_erased_account_is_gone_and_stays_silent() -> None:
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    log.partition.erase_account("acme")
    assert (len(log.partition), "acme" in log.partition, log.partition.take_changes()) == (0, False, [])
    assert log.track("a", START + HOUR) is Outcome.SUPPRESSED
    log.clock(START + 10 * DAY)
    assert log.transitions == []
    assert log.partition.counts[Noted.SUPPRESSED] == 1


def test_a_stored_account_is_erased_too() -> None:
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    again = restored(log)
    again.partition.erase_account("acme")
    again.clock(START + 10 * DAY)
    assert (len(again.partition), again.transitions) == (0, [])


def test_an_erased_user_leaves_every_account_and_stays_silent() -> None:
    log = Log(program_of("active_users(days=7) >= 2", "nps > 5"))
    for account in ("acme", "bolt"):
        for user in ("u", "v"):
            log.track("a", START, user=user, account=account)
    log.track("nps_answered", START, {"score": 9}, user="u")
    log.partition.take_changes()
    log.partition.erase_user("u")
    assert [account_id for account_id, _ in log.partition.take_changes()] == ["acme", "bolt"]
    assert log.track("a", START + HOUR, user="u") is Outcome.SUPPRESSED
    assert (log.account().users.keys() & {"u"}, log.account().nps) == (set(), {})
    log.track("a", START + HOUR, user="v")
    assert log.members() == set(), "the next record finds it"


def test_erasing_a_user_keeps_nobody_decoded_who_did_not_know_them() -> None:
    log = Log(program_of("True"))
    log.track("a", START, user="u")
    log.track("a", START, user="v", account="bolt")
    again = restored(log)
    again.partition.erase_user("u")
    assert (set(again.partition._live), again.account().users) == ({"acme"}, {})


# --- population ---


def test_readers_see_an_account_as_of_its_own_clock_though_the_population_was_looked_at_later() -> None:
    program = program_of(
        'top_percent("load", 10)', 'top_percent("load", 50)', definitions={"load": 'count("a", days=2)'}
    )
    log = Log(program)
    log.track("a", START)
    before = program.definitions(log.account(), log.working(), START, 0)
    log.partition.look(MIDNIGHT + 5 * DAY)
    assert program.definitions(log.account(), log.working(), START, 0) == before == {"load": 1}


def test_a_look_at_the_population_changes_nothing_whenever_it_is_taken() -> None:
    program = program_of(
        'top_percent("load", 50)', 'count("a", days=2) >= 2', definitions={"load": 'count("a", days=2)'}
    )
    looked_at, left_alone = Log(program), Log(program)
    for log in (looked_at, left_alone):
        for hour in range(0, 100, 7):
            log.track("a", START + hour * HOUR)
            if log is looked_at:
                log.partition.look(START + hour * HOUR + 3 * DAY)
        log.clock(START + 20 * DAY)
    assert looked_at.transitions == left_alone.transitions
    assert dict(looked_at.partition.take_changes()) == dict(left_alone.partition.take_changes())


def test_a_look_keeps_nobody_decoded_whom_it_does_not_move() -> None:
    log = Log(program_of('top_percent("load", 50)', definitions={"load": 'count("a")'}))
    for place, account in enumerate(("acme", "bolt", "čapek")):
        for _ in range(place + 1):
            log.track("a", START, account=account)
    log.partition.apply_thresholds(Thresholds(MIDNIGHT, {"load": [2] * 101}))
    again = restored(log)
    again.partition.thresholds = log.partition.thresholds
    again.partition.look(MIDNIGHT + DAY)
    assert len(again.partition) == 3
    assert again.partition._live == {}
    again.partition.apply_thresholds(Thresholds(MIDNIGHT + DAY, {"load": [3] * 101}))
    again.take()
    assert [(found.account_id, found.direction) for found in again.transitions] == [("bolt", "exited")]
    assert set(again.partition._live) == {"bolt"}


def test_thresholds_move_those_whose_rank_they_change_and_nobody_else() -> None:
    log = Log(program_of('top_percent("load", 50)', definitions={"load": 'count("a")'}))
    for place, account in enumerate(("acme", "bolt", "čapek")):
        for _ in range(place + 1):
            log.track("a", START, account=account)
    assert log.transitions == [], "without thresholds nobody is at the top"
    log.partition.take_changes()
    log.partition.apply_thresholds(Thresholds(MIDNIGHT, {"load": [*range(101)]}))
    log.take()
    assert log.transitions == [], "half of 101 is more than 3"
    log.partition.apply_thresholds(Thresholds(MIDNIGHT + DAY, {"load": [place / 25 for place in range(101)]}))
    log.take()
    assert [(one.account_id, one.direction, one.effective_at, one.trigger) for one in log.transitions] == [
        ("bolt", "entered", MIDNIGHT + DAY, "thresholds"), ("čapek", "entered", MIDNIGHT + DAY, "thresholds"),
    ]  # fmt: skip
    log.track("a", START + 2 * DAY)
    log.track("a", START + 2 * DAY)
    assert "s0" in log.members(), "its own records change its rank at once"
    assert GRACE < DAY


def test_thresholds_evaluate_whoever_has_moved_since_even_if_they_rank_as_the_last_ones_did() -> None:
    log = Log(program_of('top_percent("load", 10)', definitions={"load": 'count("a")'}))
    log.track("a", START)
    log.partition.apply_thresholds(Thresholds(MIDNIGHT, {"load": [2] * 101}))
    log.track("a", START + DAY)
    assert log.members() == {"s0"}
    log.partition.apply_thresholds(Thresholds(MIDNIGHT + DAY, {"load": [3] * 101}))
    log.take()
    assert log.story() == [("s0", "entered", START + DAY), ("s0", "exited", MIDNIGHT + DAY)]


def test_rows_of_another_time_than_their_partition_are_refused() -> None:
    """Such an account would take an operation for one that it has seen, and never be brought through."""
    log = Log(program_of(TWO_DAYS))
    log.track("a", START)
    log.clock(START + 10 * DAY)
    again = Log(log.program)
    for account_id, stored in log.partition.take_changes():
        again.partition.restore(account_id, stored)
    with pytest.raises(StateError, match="rebuild the state"):
        again.track("a", START + 11 * DAY)
