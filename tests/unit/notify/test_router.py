"""The router: every destination that may want to know hears of a transition, once, with all that was known of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import DeadLetter, Rejected
from schemas.inbox import Original, original_of, routed_headers
from schemas.playbook import ANY, Play, Playbook
from streams.notify.plan.destination import destination_plan
from streams.notify.router.interest import Interests
from streams.notify.router.stage import WAITING_OUTPUTS_MAX, RouterStage
from streams.runtime.stage import Output
from tests.unit.notify.harness import TOPICS, FakeDestination
from tests.unit.notify.world import Record, news, play, raw

NAMES = ("one", "two")


def router(*plays: Play) -> RouterStage:
    book = Playbook(format=1, name="test", plays=plays)
    plans = [destination_plan(book, FakeDestination(id=name, type="fake")) for name in NAMES]
    return RouterStage(3, Interests(plans), NAMES, TOPICS)


def keys(outputs: list[Output]) -> list[bytes | None]:
    return [output.key for output in outputs if output.topic == TOPICS.inbox]


def test_a_transition_goes_once_to_each_destination_that_names_its_segment_for_whatever_purpose() -> None:
    stage = router(
        play(id="a", destination="one", segment="at_risk"),
        play(id="b", destination="one", segment="at_risk", template="other"),
        play(id="c", destination="two", segment="champion", inhibited_by=["at_risk"]),
        play(id="d", destination="two", segment="new", enabled=False),
    )
    stage.apply([Record(7, raw()), Record(8, raw(segment="champion")), Record(9, raw(segment="new"))])
    assert keys(stage.drain().outputs) == [b"one", b"two", b"two"]
    assert stage.counts == {"routed": 3, "unheard": 1}


def test_nobody_is_told_of_the_canary_whatever_plays_name() -> None:
    stage = router(play(id="a", destination="one", segment="at_risk"), play(id="b", destination="two", segment=ANY))
    stage.apply([Record(1, raw(account_id="pegel-canary-service-3"))])
    assert keys(stage.drain().outputs) == []
    assert stage.counts == {"routed": 0, "unheard": 1}
    stage.apply([Record(2, raw(account_id="pegel-canaries-inc"))])
    assert len(stage.drain().outputs) == 2


def test_a_move_is_heard_of_by_those_who_name_where_it_came_from() -> None:
    stage = router(play(id="a", destination="one", segment="new", direction="exited"))
    stage.apply([Record(1, raw(segment="established", direction="moved", from_segment="new", group="lifecycle"))])
    assert keys(stage.drain().outputs) == [b"one"]


@given(
    st.sampled_from(["entered", "exited", "moved"]),
    st.sampled_from(["at_risk", "champion", "new"]),
    st.sampled_from([None, "at_risk", "champion"]),
)
def test_whoever_the_plan_says_wants_it_hears_of_it(direction: str, segment: str, left: str | None) -> None:
    plays = (
        play(id="a", destination="one", segments=["champion"], directions=["exited", "moved"]),
        play(id="b", destination="two", segments=["*"], group="lifecycle"),
    )
    book = Playbook(format=1, name="test", plays=plays)
    plans = [destination_plan(book, FakeDestination(id=name, type="fake")) for name in NAMES]
    told = news(segment=segment, direction=direction, from_segment=left if direction == "moved" else None)
    assert {plan.id for plan in plans if plan.wants(told)} <= set(Interests(plans).of(told))


def test_what_was_routed_can_be_written_as_it_was() -> None:
    stage = router(play(id="a", destination="one", segment="*"))
    record = Record(41, raw(), b"\xff", 1_234, (("ce_id", b"x"), ("pegel-announce", b"true"), ("empty", None)))
    stage.apply([record])
    [output] = stage.drain().outputs
    assert output.value == record.value
    assert original_of(output.headers) == ("one", Original(3, 41, 1_234, b"\xff", record.headers))


def test_a_record_that_nobody_routed_is_rejected() -> None:
    good = routed_headers("one", Original(0, 1, 2, None))
    for spoilt in ([], good[1:], [*good, ("pegel-original-offset", b"-1")], [*good, ("pegel-original-offset", b"x")]):
        with pytest.raises(Rejected):
            original_of(spoilt)


def test_what_is_no_transition_is_a_dead_letter_of_the_router() -> None:
    stage = router(play(id="a", destination="one", segment="*"))
    stage.apply([Record(5, b"{broken"), Record(6, None)])
    letters = [DeadLetter.from_headers(output.headers) for output in stage.drain().outputs]
    assert [(one.stage, one.original_offset, one.reason.value) for one in letters] == [
        ("router", 5, "not_json"), ("router", 6, "null_value"),
    ]  # fmt: skip


def test_what_is_tried_again_goes_where_it_failed_and_nowhere_else() -> None:
    stage = router(play(id="a", destination="one", segment="*"), play(id="b", destination="two", segment="*"))
    wanted = ("pegel-retry-delivery", b"d"), ("pegel-play", b"b")
    stage.apply([Record(1, raw(), headers=[*wanted, ("pegel-destination", b"two")])])
    stage.apply([Record(2, raw(), headers=[*wanted, ("pegel-destination", b"gone")])])
    stage.apply([Record(3, raw(), headers=[("pegel-destination", b"one")])])
    routed, letter, unplanned = stage.drain().outputs
    assert (routed.key, letter.topic, unplanned.key) == (b"two", TOPICS.transitions_dlq, b"one")
    assert DeadLetter.from_headers(letter.headers).reason.value == "play_removed"
    assert ("pegel-original-header-pegel-retry-delivery", b"d") in letter.headers


def test_it_keeps_nothing_and_takes_no_more_than_it_may_hold() -> None:
    stage = router(play(id="a", destination="one", segment="*"))
    stage.apply([Record(number, raw()) for number in range(WAITING_OUTPUTS_MAX)])
    assert stage.saturated()
    assert (stage.drain().changes, stage.dirty(), stage.saturated(), stage.position(9)) == ([], False, False, 9)
