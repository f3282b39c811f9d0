from uuid import UUID

import pytest

from schemas.membership import Membership
from schemas.transition import Transition, WireTransition, decode_transition
from streams.engine import found, outgoing
from streams.engine.outgoing import CASTS_MAX, WAYS_MAX, emitted, membership_value, told
from streams.engine.rules.linear import NEVER
from tests.unit.engine.building import DAY, HOUR, START, Log, program_of


def sample() -> Log:
    log = Log(
        program_of(
            {"id": "fresh", "when": "since(signed_up_at) < 4"},
            {"id": "low", "group": "tier", "when": "mrr < 10"},
            {"id": "high", "group": "tier", "when": "mrr >= 10"},
            definitions={"double": "mrr * 2", "lost": "seats * 2", "endless": "since(cancelled_at)"},
        )
    )
    log.group({"mrr": 5}, START)
    log.group({"mrr": 50}, START + HOUR)
    log.until(START + 10 * DAY)
    return log


def read(one: found.Transition) -> WireTransition:
    return decode_transition(told(one, emitted(None)).value)


def id_of(one: found.Transition) -> str:
    return told(one, emitted(None)).transition_id.decode()


def test_a_transition_says_what_the_contract_says_in_its_words() -> None:
    moved = next(one for one in sample().transitions if one.direction == "moved")
    wire = Transition.model_validate_json(told(moved, emitted(START + DAY)).value)
    assert wire.model_dump(mode="json") == {
        "transition_id": id_of(moved),
        "account_id": "acme",
        "segment": "high",
        "direction": "moved",
        "group": "tier",
        "from_segment": "low",
        "effective_at": "2026-03-02T13:00:00.000Z",
        "sequence": 3,
        "catalog_version": moved.catalog_version,
        "evidence": {"values": {"mrr": 50}, "failed": ["mrr < 10"]},
        "trigger": {"message_id": "m2", "type": "group"},
        "entered_at": "2026-03-02T12:00:00.000Z",
        "dwell_seconds": 3_600.0,
        "forecast": None,
        "emitted_at": "2026-03-03T12:00:00.000Z",
    }


def test_on_entry_nothing_has_been_left_and_what_ends_by_itself_says_when() -> None:
    entered = read(sample().transitions[0])
    assert (entered.from_segment, entered.entered_at, entered.dwell_seconds, entered.emitted_at) == (None,) * 4
    assert entered.forecast is not None
    assert (entered.forecast.leaves_at, entered.forecast.direction) == ("2026-03-06T12:00:00.000Z", "exited")


def test_a_deadline_is_a_word() -> None:
    assert read(sample().transitions[-1]).trigger == "deadline"


def test_ids_are_uuids_of_what_happened_and_the_same_on_every_replay() -> None:
    ids = [id_of(one) for one in sample().transitions]
    assert ids == [id_of(one) for one in sample().transitions]
    assert len(set(ids)) == len(ids)
    assert {UUID(one).version for one in ids} == {5}


def test_what_is_made_once_is_bounded() -> None:
    """A worker lives for months, and a replay may see any number of catalogs."""
    entered = sample().transitions[0]
    for number in range(WAYS_MAX + 10):
        other = found.Transition(
            "a", f"s{number % 7}", "entered", None, None, START, 1, f"v{number}", {}, "deadline", None
        )
        assert told(other, emitted(None)).value
    assert outgoing._ways.count == sum(len(ways) for ways in outgoing._ways.known.values()) <= WAYS_MAX
    assert read(entered).segment == entered.segment
    for number in range(CASTS_MAX + 2):
        log = Log(program_of(f"mrr < {number}"))
        log.group({"mrr": 5}, START)
        assert membership_value("acme", log.account(), log.working())
    assert len(outgoing._casts) <= CASTS_MAX


def test_the_namespace_never_changes() -> None:
    """Receivers recognise a transition by its id, for years."""
    assert id_of(sample().transitions[0]) == PINNED


PINNED = "d83ef118-c522-5220-8825-4bd4bd2abea3"


def test_a_membership_is_where_the_account_stands() -> None:
    log = sample()
    written = membership_value("acme", log.account(), log.working())
    found = Membership.model_validate_json(written).model_dump(mode="json")
    assert found["as_of"] == "2026-03-06T12:00:00.000Z"
    assert (found["stage"], found["sequence"]) == ("trial", 4)
    assert found["segments"] == [{"segment": "high", "group": "tier", "entered_at": "2026-03-02T13:00:00.000Z"}]
    assert found["key_numbers"] == {
        "activation_rate": 0,
        "last_active_at": "2026-03-02T12:00:00.000Z",
        "mrr": 50,
        "nps": None,
        "usage_ratio": None,
        "double": 100,
        "lost": None,
        "endless": None,  # infinite: since something that never happened
    }


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"])
def test_times_of_any_year_can_be_written(year: str) -> None:
    log = Log(program_of("since(signed_up_at) >= 0 or True"))
    log.group({"createdAt": year, "trialEndsAt": year}, START)
    wire = read(log.transitions[0])
    assert year[:10] in wire.evidence["values"]["signed_up_at"]
    assert membership_value("acme", log.account(), log.working())


def test_numbers_of_any_size_can_be_written() -> None:
    log = Log(program_of("mrr > 3", definitions={"cube": "mrr * mrr * mrr", "big": BIG}))
    log.group({"mrr": 2**64 - 1}, START)
    log.track("a", START)
    assert told(log.transitions[0], emitted(None)).value
    assert b'"big":1000000000000000000000000000000' in membership_value("acme", log.account(), log.working())
    assert log.account().next_at == NEVER


BIG = "1000000000000000 * 1000000000000000"
