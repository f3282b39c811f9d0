"""Figures of a simulation, over courses made by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.playbook import Playbook
from streams.connectors.console.config import ConsoleConfig
from streams.engine.found import Direction
from streams.notify.plan.destination import DestinationPlan, destination_plan
from streams.simulate.alerts import alerts
from streams.simulate.comparison import Overlap, compared
from streams.simulate.course import DAY_MS, WEEK_MS, Course, Rate, Span, Step
from streams.simulate.flapping import MONTH_MS, Flapping, busiest_month, flapping

SPAN = Span(0, 4 * WEEK_MS)


def step(
    account_id: str, segment: str, day: float, direction: Direction = "entered", from_segment: str | None = None
) -> Step:
    return Step(account_id, segment, direction, None, from_segment, round(day * DAY_MS))


def course(*steps: Step, segments: str = "s t", **members: str) -> Course:
    names = tuple(segments.split())
    return Course("c", "v", names, steps, 3, {name: frozenset(members.get(name, "").split()) for name in names})


def play(destination: str, template: str = "words", **entries: object) -> dict[str, object]:
    return {
        "id": f"{destination}-{template}",
        "destination": destination,
        "template": template,
        "segment": "s",
    } | entries


def plans(*plays: dict[str, object], **destination: object) -> list[DestinationPlan]:
    """Of each destination that a play that is on tells, in order."""
    templates = {name: {"title": "x"} for name in ("words", "other", "more")}
    playbook = Playbook.model_validate({"format": 1, "name": "p", "plays": plays, "templates": templates})
    names = dict.fromkeys(play.destination for play in playbook.plays if play.enabled)
    configs = [ConsoleConfig.model_validate({"id": name, "type": "console", **destination}) for name in names]
    return [destination_plan(playbook, config) for config in configs]


def test_a_move_enters_one_segment_and_leaves_another() -> None:
    moved = step("a", "t", 1, "moved", "s")
    assert (moved.entered, moved.left) == ("t", "s")
    assert (step("a", "s", 1).entered, step("a", "s", 1).left) == ("s", None)
    left = step("a", "s", 1, "exited")
    assert (left.entered, left.left) == (None, "s")


def test_who_enters_and_leaves_is_the_difference_of_the_ends() -> None:
    found = compared(course(s="a b", t="c"), course(s="b c", segments="s new", new="a"), SPAN)
    assert [(one.segment, one.enters, one.leaves) for one in found.segments] == [
        ("s", ("c",), ("a",)), ("new", ("a",), ()), ("t", (), ("c",)),
    ]  # fmt: skip
    assert [(one.old is None, one.new is None) for one in found.segments] == [
        (False, False), (True, False), (False, True),
    ]  # fmt: skip


def test_overlaps_are_of_the_smaller_segment_and_greatest_first() -> None:
    new = course(segments="s t u", s="a b c", t="a b", u="c d")
    found = compared(course(s="a", t="a"), new, SPAN)
    assert found.overlaps == (Overlap(("s", "t"), 1, 2, 1.0), Overlap(("s", "u"), None, 1, 0.5))


def test_rates_are_of_the_span_and_sizes_are_not() -> None:
    steps = [step("a", "s", 1), step("a", "s", 2, "exited"), step("b", "s", 9)]
    found = compared(course(*steps, s="b"), course(*steps, s="b"), Span(round(1.5 * DAY_MS), 4 * WEEK_MS))
    figures = found.segments[0].new
    assert figures is not None
    assert (figures.size, figures.entries, figures.changes.busiest_week) == (1, 1, 1)


def test_a_rate_counts_weeks_from_the_start_and_a_day_is_no_week() -> None:
    times = [0, 6 * DAY_MS, WEEK_MS, 8 * DAY_MS, 13 * DAY_MS]
    assert Rate.of(times, SPAN) == Rate(1.25, 3)
    assert Rate.of(times, Span(0, DAY_MS)) == Rate(5.0, 3)
    assert Rate.of([], SPAN) == Rate(0.0, 0)


def test_flapping_is_of_the_busiest_month_of_each_account() -> None:
    often = [day * DAY_MS for day in (0, 7, 14, 21, 200)]
    assert flapping({"a": often, "b": [0], "c": [0, MONTH_MS], "d": []}) == Flapping(3, 1.0, 4, 1 / 3)
    assert flapping({}) == Flapping(0, 0.0, 0, 0.0)
    assert flapping({"a": [0, 1, 2]}).share_over == 0


@given(st.lists(st.integers(0, 4 * MONTH_MS), max_size=30).map(sorted))
def test_the_busiest_month_is_that_of_trying_all(times: list[int]) -> None:
    assert busiest_month(times) == max(
        (sum(begin <= at < begin + MONTH_MS for at in times) for begin in times), default=0
    )


def test_messages_are_those_that_the_notifier_would_send() -> None:
    steps = [step("a", "s", 1), step("a", "t", 2, "moved", "s"), step("a", "t", 3, "exited"), step("b", "s", 4)]
    wanted = plans(
        play("chat"),
        play("chat", id="again"),  # the same words to the same place: one message
        play("mail", "other", directions=["exited"]),
        play("mail", "more", segment="*", directions=["entered", "exited"]),
        play("off", enabled=False),
    )
    days = {to: [at // DAY_MS for at in times] for to, times in alerts(course(*steps), wanted, SPAN).items()}
    assert days == {"chat": [1, 4], "mail": [1, 2, 2, 3, 4]}
    assert alerts(course(*steps), wanted, Span(2 * DAY_MS, SPAN.end_ms))["chat"] == [4 * DAY_MS]


def test_messages_wait_and_gather_as_the_playbook_says() -> None:
    steps = [step("a", "s", 1), step("b", "s", 1.001), step("c", "s", 9.5)]
    (grouped,) = alerts(course(*steps), plans(play("chat"), group={"wait_s": 300}), SPAN).values()
    assert len(grouped) == 2
    (gathered,) = alerts(course(*steps), plans(play("chat", on={"digest": "0 8 * * mon"})), SPAN).values()
    assert len(gathered) == 2


@pytest.mark.parametrize("wanted", [[], plans(play("chat"))], ids=["none", "one"])
def test_channels_are_those_of_the_playbook(wanted: list[DestinationPlan]) -> None:
    found = compared(course(), course(step("a", "s", 1)), SPAN, wanted)
    assert [(one.channel, one.old.per_week, one.new.per_week) for one in found.channels] == [
        ("chat", 0.0, 0.25) for _ in wanted
    ]
