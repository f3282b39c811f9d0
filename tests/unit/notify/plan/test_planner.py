"""The plan of a destination: what is told, when, to whom, and why not."""

import pytest

from schemas.action import ActionOutcome, Arm, Reason
from schemas.transition import Direction
from streams.connectors.message import MessageKind
from streams.notify.plan.delivery import delivery_id
from streams.notify.plan.destination import DestinationPlan
from streams.notify.plan.holdout import arm, place
from streams.notify.plan.memory import Memory
from streams.notify.plan.planner import NEVER_MS, RosterMember
from streams.notify.plan.route import Match
from streams.notify.plan.waiting import Phase, first_message
from tests.unit.notify.plan.scene import (
    DAY_MS,
    HOUR_MS,
    MONDAY_MS,
    Scene,
    accounts,
    ms,
    plan_of,
    reasons,
    transition,
)

P, S = Reason.PLANNED, Reason.SILENCED
NIGHT = {"from": "18:00", "to": "08:00", "weekends": True}


# -- one message -----------------------------------------------------------------------------------------------------


def test_a_plain_play_tells_a_transition_at_once() -> None:
    scene = Scene(plan_of({}))
    [made] = scene.enters("acme", facts={"name": "Acme", "owner": "anna"})
    assert (made.reason, made.outcome, made.delivery.kind) == (P, None, MessageKind.NOTE)
    assert made.delivery.delivery_id == delivery_id("team", "acme-1", "words")
    assert (made.delivery.facts["name"], made.delivery.planned_at_ms) == ("Acme", MONDAY_MS)
    assert scene.planner.next_ms() == NEVER_MS


def test_what_no_play_waits_for_is_only_noted() -> None:
    scene = Scene(plan_of({}))
    assert scene.enters("acme", "champion") == []
    assert scene.leaves("acme") == []


def test_a_list_waits_for_no_news() -> None:
    scene = Scene(plan_of({"on": {"digest": "0 8 * * *"}, "list": {"segment": "at_risk"}}))
    assert scene.enters("acme", "at_risk") == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trigger": "rebuild"}, Reason.REBUILD),
        ({"trigger": "catalog"}, Reason.CATALOG_CHANGE),
        ({"ago_ms": 25 * HOUR_MS}, Reason.STALE),
        ({"ago_ms": 23 * HOUR_MS}, P),
    ],
)
def test_history_catalogs_and_rebuilt_state_are_no_news(fields: dict[str, object], reason: Reason) -> None:
    assert reasons(Scene(plan_of({})).news("acme", **fields)) == [reason]  # type: ignore[arg-type]


def test_two_plays_that_ask_for_the_same_make_one_delivery() -> None:
    scene = Scene(plan_of({}, {}, {"template": "other"}))
    assert [(one.delivery.play, one.reason) for one in scene.enters()] == [("play-0", P), ("play-2", P)]


def test_of_two_plays_for_the_same_the_more_generous_decides() -> None:
    for plays in ([{"max_age_h": 1}, {"max_age_h": 48}], [{"max_age_h": 48}, {"max_age_h": 1}]):
        [made] = Scene(plan_of(*plays)).enters(ago_ms=2 * HOUR_MS)
        assert made.reason is P
    [made] = Scene(plan_of({"max_age_h": 1}, {"inhibited_by": ["at_risk"]})).enters(ago_ms=2 * HOUR_MS)
    assert made.reason is Reason.STALE


def test_the_owner_is_named_in_the_words_of_the_destination() -> None:
    owner = {"trait": "owner", "map": {"anna@example.com": "U1"}, "default": "#sales"}
    scene = Scene(plan_of({"owner": owner}, {"owner": {"trait": "owner"}, "template": "plain"}))
    told = [
        [one.delivery.owner for one in scene.enters(account, facts=facts)]
        for account, facts in (("a", {"owner": "anna@example.com"}), ("b", {"owner": "bob"}), ("c", {}))
    ]
    assert told == [["U1", "anna@example.com"], ["#sales", "bob"], ["#sales", None]]


# -- silence, inhibition, throttling ----------------------------------------------------------------------------------


def test_a_silence_covers_what_matches_all_that_it_names_while_it_lasts() -> None:
    scene = Scene(plan_of({"segment": "*"}))
    scene.silence(account="acme", segment="at_risk")
    told = [scene.enters("acme"), scene.enters("acme", "champion"), scene.enters("other")]
    assert [reasons(made) for made in told] == [[S], [P], [P]]
    scene.after(hours=2)
    assert reasons(scene.enters("acme")) == [P]


def test_a_silence_of_nothing_in_particular_is_maintenance_and_can_be_ended() -> None:
    scene = Scene(plan_of({}), restarts=True)
    scene.silence()
    assert reasons(scene.enters("a")) == [S]
    scene.unsilence()
    assert reasons(scene.enters("b")) == [P]


def test_silences_are_bounded_and_those_that_are_over_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.notify.plan.memory.SILENCES_MAX", 2)
    scene = Scene(plan_of({}))
    for name in ("a", "b", "c"):
        scene.silence(name)
    assert [one.id for one in scene.planner.silences(scene.now_ms)] == ["a", "b"]
    scene.after(hours=2)
    scene.silence("d")
    assert [one.id for one in scene.planner.silences(scene.now_ms)] == ["d"]


def test_an_account_in_an_inhibiting_segment_is_not_told_of() -> None:
    scene = Scene(plan_of({"inhibited_by": ["churned"]}))
    assert scene.enters("acme", "churned") == []
    assert reasons(scene.enters("acme")) == [Reason.INHIBITED]
    assert scene.leaves("acme", "churned") == []
    assert reasons(scene.enters("acme")) == [P]


def test_a_move_out_of_an_inhibiting_segment_ends_the_inhibition() -> None:
    scene = Scene(plan_of({"segment": "established", "inhibited_by": ["churned"]}))
    scene.enters("acme", "churned", group="lifecycle")
    assert reasons(scene.moves("acme", "churned", "established")) == [P]
    assert reasons(scene.moves("acme", "established", "churned")) == []


def test_the_cooldown_is_of_account_segment_and_destination_whatever_the_play() -> None:
    scene = Scene(plan_of({"cooldown_days": 7}, {"cooldown_days": 2, "template": "other"}))

    def by_play(account: str) -> list[Reason]:
        return [one.reason for one in sorted(scene.enters(account), key=lambda one: one.delivery.play)]

    assert by_play("acme") == [P, Reason.COOLDOWN]
    assert by_play("other") == [P, Reason.COOLDOWN]
    scene.after(days=3)
    assert by_play("acme") == [Reason.COOLDOWN, P]
    scene.after(days=7)
    assert by_play("acme") == [P, Reason.COOLDOWN]


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("always", [P, P, P]),
        ("once", [P, Reason.REENTRY, Reason.REENTRY]),
        ({"every_days": 30}, [P, Reason.REENTRY, P]),
    ],
)
def test_reentry_says_how_often_an_account_is_told_of(policy: object, told: list[Reason]) -> None:
    scene = Scene(plan_of({"reentry": policy}), restarts=True)
    found = []
    for _ in range(3):
        found += reasons(scene.enters("acme"))
        scene.leaves("acme")
        scene.after(days=20)
    assert found == told


# -- quiet hours -----------------------------------------------------------------------------------------------------


def test_what_comes_in_quiet_hours_is_told_at_their_end_if_it_is_still_so() -> None:
    scene = Scene(plan_of({}, {"on": "exited", "template": "gone"}, timezone="Europe/Berlin", quiet_hours=NIGHT))
    scene.until(ms("2026-03-02 20:00"))
    [late] = scene.enters("stays")
    assert (late.reason, late.outcome, late.until_ms) == (
        Reason.QUIET_HOURS, ActionOutcome.DEFERRED, ms("2026-03-03 07:00"),
    )  # fmt: skip
    scene.enters("goes")
    scene.after(hours=1)
    scene.leaves("goes")
    morning = scene.after(hours=12)
    assert [(one.delivery.news.account_id, one.delivery.template, one.reason) for one in morning] == [
        ("stays", "words", P), ("goes", "words", Reason.NO_LONGER_TRUE), ("goes", "gone", P),
    ]  # fmt: skip
    assert {one.planned_at_ms for one in scene.sent} == {ms("2026-03-03 07:00")}


def test_a_silence_begun_at_night_holds_for_what_waits() -> None:
    scene = Scene(plan_of({}, quiet_hours=NIGHT), now_ms=ms("2026-03-02 20:00"))
    scene.enters("acme")
    scene.silence(hours=24)
    assert reasons(scene.after(days=1)) == [S]


@pytest.mark.parametrize(
    ("whose", "facts", "opens"),
    [
        ("destination", {"timezone": "Asia/Tokyo"}, "2026-03-03 07:00"),
        ("account", {"timezone": "America/New_York"}, "2026-03-02 22:00"),
        ("account", {"timezone": "Asia/Tokyo"}, "2026-03-02 23:00"),
        ("account", {"timezone": "../etc/passwd"}, "2026-03-03 07:00"),
        ("account", {}, "2026-03-03 07:00"),
        ("owner", {"owner": "anna"}, "2026-03-02 23:00"),
        ("owner", {"owner": "bob", "owner_timezone": "Asia/Tokyo"}, "2026-03-02 23:00"),
        ("owner", {"owner": "bob"}, "2026-03-03 07:00"),
    ],
)
def test_quiet_hours_go_by_the_clock_of_whom_they_are_for(whose: str, facts: dict[str, str], opens: str) -> None:
    owner = {"trait": "owner", "zones": {"anna": "Asia/Tokyo"}}
    plan = plan_of({"owner": owner}, timezone="Europe/Berlin", quiet_hours={**NIGHT, "zone": whose})
    scene = Scene(plan, now_ms=ms("2026-03-02 22:00"))
    [made] = scene.enters("acme", facts=facts)
    assert (made.until_ms or scene.now_ms) == ms(opens)


def test_a_later_message_does_not_overtake_an_earlier_one_about_the_account() -> None:
    """The first waits for its owner's morning; the second is nobody's, and could go at once."""
    owner = {"trait": "owner", "zones": {"anna": "Asia/Tokyo"}}
    plan = plan_of(
        {"owner": owner}, {"segment": "champion", "template": "other"},
        quiet_hours={"from": "02:00", "to": "08:00", "zone": "owner"},
    )  # fmt: skip
    scene = Scene(plan, now_ms=ms("2026-03-02 20:00"))
    assert reasons(scene.enters("acme", facts={"owner": "anna"})) == [Reason.QUIET_HOURS]
    assert reasons(scene.enters("acme", "champion")) == [Reason.IN_ORDER]
    assert reasons(scene.enters("other", "champion")) == [P]
    scene.after(hours=5)
    assert [(one.news.account_id, one.news.segment) for one in scene.sent] == [
        ("other", "champion"), ("acme", "at_risk"), ("acme", "champion"),
    ]  # fmt: skip


# -- holdout -----------------------------------------------------------------------------------------------------------


def test_the_split_is_stable_even_and_drawn_by_each_play_for_itself() -> None:
    names = [f"account-{n}" for n in range(4_000)]
    one, other = ([place(salt, name) < 0.25 for name in names] for salt in ("a", "b"))
    assert 900 < sum(one) < 1_100
    assert 200 < sum(x and y for x, y in zip(one, other, strict=True)) < 300
    assert place("salt", "acme") == pytest.approx(0.22270075734282882)


def split(plan: DestinationPlan, count: int = 100) -> tuple[Scene, set[str], set[str]]:
    scene = Scene(plan)
    for n in range(count):
        scene.enters(f"account-{n}")
    exposed: dict[Arm, set[str]] = {Arm.TREATMENT: set(), Arm.CONTROL: set()}
    for one in scene.said:
        if one.reason is Reason.EXPOSED and one.arm is not None:
            exposed[one.arm].add(one.delivery.news.account_id)
    return scene, exposed[Arm.TREATMENT], exposed[Arm.CONTROL]


def test_of_a_play_with_a_holdout_both_arms_are_exposed_and_one_is_told() -> None:
    scene, treated, held = split(plan_of({"holdout_percent": 30}))
    assert {one.news.account_id for one in scene.sent} == treated
    assert len(treated) + len(held) == 100
    assert 15 < len(held) < 45
    assert reasons(scene.said).count(Reason.HOLDOUT) == len(held)


def test_who_is_held_out_of_everything_is_told_of_by_no_play() -> None:
    _, treated, held = split(plan_of({}, {"template": "other"}, book={"holdout_percent": 20}))
    assert held
    assert not treated & held


def test_a_goal_without_a_holdout_is_measured_too_and_nobody_is_held_out() -> None:
    _, treated, held = split(plan_of({"goal": {"enters": "customer", "within_days": 14}}))
    assert (len(treated), held) == (100, set())
    scene, treated, held = split(plan_of({}))
    assert (len(scene.sent), treated, held) == (100, set(), set())


def test_plays_hold_out_different_accounts_each_by_its_own_draw() -> None:
    plan = plan_of({"holdout_percent": 50}, {"holdout_percent": 50, "template": "other"})
    names = [f"account-{n}" for n in range(200)]
    one, other = ([arm(play.play, name, plan.salt, 0) for name in names] for play in plan.plays)
    assert 60 < sum(x is y for x, y in zip(one, other, strict=True)) < 140


def test_a_sequence_is_exposed_once_with_its_first_message() -> None:
    step = {"after_days": 1, "template": "second"}
    scene = Scene(plan_of({"goal": {"enters": "customer", "within_days": 9}, "steps": [step]}))
    scene.enters("acme")
    scene.after(days=2)
    assert reasons(scene.said) == [Reason.EXPOSED, P, Reason.NEXT_STEP, P]


def test_exposure_is_when_the_message_would_have_been_sent_for_both_arms() -> None:
    scene = Scene(plan_of({"holdout_percent": 50}, quiet_hours=NIGHT), now_ms=ms("2026-03-02 20:00"))
    for n in range(20):
        scene.enters(f"account-{n}")
    scene.leaves("account-0")
    assert set(reasons(scene.said)) == {Reason.QUIET_HOURS}
    morning = scene.after(days=1)
    assert {one.delivery.planned_at_ms for one in morning} == {ms("2026-03-03 08:00")}
    exposed = {one.delivery.news.account_id for one in morning if one.reason is Reason.EXPOSED}
    assert exposed == {f"account-{n}" for n in range(1, 20)}


def test_who_is_held_out_is_throttled_like_who_is_told() -> None:
    scene = Scene(plan_of({"holdout_percent": 50, "cooldown_days": 7}))
    for _ in range(2):
        for n in range(20):
            scene.enters(f"account-{n}")
    assert reasons(scene.said).count(Reason.EXPOSED) == 20
    assert reasons(scene.said).count(Reason.COOLDOWN) == 20


# -- dwell -------------------------------------------------------------------------------------------------------------


def test_an_entry_that_lasted_is_told_and_one_that_did_not_is_not() -> None:
    scene = Scene(plan_of({"on": {"dwell_days": 14}}), restarts=True)
    scene.enters("stays")
    scene.enters("goes")
    scene.after(days=10)
    assert reasons(scene.leaves("goes")) == [Reason.NO_LONGER_TRUE]
    scene.enters("goes")
    scene.after(days=5)
    assert [(one.news.account_id, one.planned_at_ms) for one in scene.sent] == [("stays", MONDAY_MS + 14 * DAY_MS)]
    scene.after(days=10)
    assert [accounts(one) for one in scene.sent] == [["stays"], ["goes"]]


def test_an_old_entry_that_lasts_since_just_now_is_news_and_since_long_ago_is_not() -> None:
    scene = Scene(plan_of({"on": {"dwell_days": 14}}))
    assert reasons(scene.enters("a", ago_ms=14 * DAY_MS)) == [P]
    assert reasons(scene.enters("b", ago_ms=16 * DAY_MS)) == [Reason.STALE]
    assert reasons(scene.enters("c", ago_ms=10 * DAY_MS)) == [Reason.DWELLING]


# -- steps -------------------------------------------------------------------------------------------------------------

NURTURE = {
    "steps": [
        {"after_days": 3, "template": "second", "while": "trial"},
        {"after_days": 7, "template": "third"},
        {"every_days": 42, "times": 2, "template": "again"},
    ],
    "stop_on": {"exit": True, "goal": "converted", "enters": ["churned"]},
}
GOALS = {"goals": {"converted": 'entered("customer")'}}


def told(scene: Scene) -> list[tuple[float, str, int]]:
    return [((one.planned_at_ms - MONDAY_MS) / DAY_MS, one.template, one.step) for one in scene.sent]


def test_a_sequence_goes_on_at_its_times_while_its_conditions_hold() -> None:
    scene = Scene(plan_of(NURTURE, book=GOALS), restarts=True)
    scene.enters("acme", "trial")
    scene.enters("acme")
    scene.after(days=200)
    assert told(scene) == [(0, "words", 0), (3, "second", 1), (7, "third", 2), (49, "again", 3), (91, "again", 4)]
    assert len({one.delivery_id for one in scene.sent}) == 5


def test_a_step_whose_condition_fails_is_left_out_and_the_next_one_comes() -> None:
    scene = Scene(plan_of(NURTURE, book=GOALS))
    scene.enters("acme")
    scene.after(days=20)
    assert told(scene) == [(0, "words", 0), (7, "third", 2)]
    assert Reason.NO_LONGER_TRUE in reasons(scene.said)


@pytest.mark.parametrize(
    "ends",
    [
        lambda scene: scene.leaves("acme"),
        lambda scene: scene.enters("acme", "customer"),
        lambda scene: scene.moves("acme", "mature", "churned"),
    ],
)
def test_leaving_a_goal_or_a_segment_ends_a_sequence(ends: object) -> None:
    scene = Scene(plan_of(NURTURE, book=GOALS), restarts=True)
    scene.enters("acme")
    scene.after(days=1)
    assert Reason.STOPPED in reasons(ends(scene))  # type: ignore[operator]
    scene.after(days=200)
    assert told(scene) == [(0, "words", 0)]
    assert scene.planner.waiting == 0


def test_without_stop_on_a_sequence_ends_where_what_began_it_no_longer_holds() -> None:
    scene = Scene(plan_of({"steps": [{"every_days": 42, "template": "again"}]}))
    scene.enters("acme")
    scene.after(days=50)
    scene.leaves("acme")
    assert reasons(scene.after(days=50)) == [Reason.NO_LONGER_TRUE]
    assert told(scene) == [(0, "words", 0), (42, "again", 1)]
    assert scene.planner.waiting == 0


def test_a_step_that_asks_for_nothing_is_sent_to_whoever_has_left_too() -> None:
    scene = Scene(plan_of({"steps": [{"after_days": 3, "template": "second", "while": False}]}))
    scene.enters("acme")
    scene.leaves("acme")
    scene.after(days=4)
    assert told(scene) == [(0, "words", 0), (3, "second", 1)]


def test_entering_anew_begins_the_sequence_anew_and_ends_the_old_one() -> None:
    scene = Scene(plan_of({"steps": [{"after_days": 3, "template": "second"}]}), restarts=True)
    scene.enters("acme")
    scene.after(days=2)
    scene.leaves("acme")
    assert Reason.RESTARTED in reasons(scene.enters("acme"))
    scene.after(days=30)
    assert told(scene) == [(0, "words", 0), (2, "words", 0), (5, "second", 1)]


def test_after_an_outage_steps_keep_their_distance() -> None:
    scene = Scene(plan_of(NURTURE, book=GOALS))
    scene.enters("acme", "trial")
    scene.enters("acme")
    scene.now_ms += 30 * DAY_MS
    scene.look()
    scene.after(days=10)
    assert told(scene) == [(0, "words", 0), (30, "second", 1), (34, "third", 2)]


def test_who_is_held_out_has_no_sequence() -> None:
    plan = plan_of({"holdout_percent": 100, "steps": [{"after_days": 3, "template": "second"}]})
    scene = Scene(plan)
    scene.enters("acme")
    assert (scene.planner.waiting, scene.after(days=10)) == (0, [])
    assert arm(plan.plays[0].play, "acme", plan.salt, 0) is Arm.CONTROL


# -- groups ------------------------------------------------------------------------------------------------------------

GROUP = {"wait_s": 30, "interval_s": 300, "by": ["segment"], "max": 3}


def test_messages_of_a_group_are_one_delivery_that_waits_for_others_a_little() -> None:
    scene = Scene(plan_of({"segment": "*"}, group=GROUP), restarts=True)
    scene.enters("a")
    scene.after(seconds=20)
    scene.enters("b")
    scene.enters("c", "champion")
    scene.after(minutes=1)
    assert [(accounts(one), one.kind) for one in scene.sent] == [
        (["a", "b"], MessageKind.DIGEST), (["c"], MessageKind.NOTE),
    ]  # fmt: skip
    assert scene.sent[0].planned_at_ms == MONDAY_MS + 30_000
    assert scene.sent[0].template == "standard-digest"
    # What may have to be sent again keeps its group behind it, and no other.
    assert [one.lane for one in scene.sent] == ["by:segment=at_risk", "by:segment=champion"]


def test_the_next_message_of_a_group_waits_for_the_interval() -> None:
    scene = Scene(plan_of({}, group=GROUP), restarts=True)
    scene.enters("a")
    scene.after(seconds=60)
    scene.enters("b")
    scene.after(minutes=10)
    scene.enters("c")
    scene.after(minutes=10)
    assert [(one.planned_at_ms - MONDAY_MS) // 1_000 for one in scene.sent] == [30, 330, 60 + 600 + 30]


def test_a_flood_is_one_message_that_tells_the_rest_as_a_number() -> None:
    scene = Scene(plan_of({}, group=GROUP), restarts=True)
    for n in range(10):
        scene.enters(f"a{n}")
    scene.after(minutes=1)
    [only] = scene.sent
    assert (accounts(only), only.more) == (["a0", "a1", "a2"], 7)
    assert reasons(scene.said).count(Reason.GROUP_FULL) == 7
    scene.enters("b")
    scene.after(minutes=10)
    assert (accounts(scene.sent[1]), scene.sent[1].more, scene.sent[1].kind) == (["b"], 0, MessageKind.NOTE)


def test_a_digest_has_the_same_id_whenever_it_is_made_of_the_same() -> None:
    ids = []
    for restarts in (False, True):
        scene = Scene(plan_of({}, group=GROUP), restarts=restarts)
        scene.enters("a")
        scene.enters("b")
        scene.after(minutes=1)
        ids += [one.delivery_id for one in scene.sent]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_what_is_over_by_the_time_a_group_is_told_is_left_out() -> None:
    scene = Scene(plan_of({}, group=GROUP))
    scene.enters("a")
    scene.enters("b")
    scene.leaves("a")
    scene.after(minutes=1)
    assert [accounts(one) for one in scene.sent] == [["b"]]


def test_what_was_not_sent_after_all_does_not_count_as_told() -> None:
    scene = Scene(plan_of({"cooldown_days": 7, "reentry": "once"}, group=GROUP), restarts=True)
    scene.enters("a")
    scene.leaves("a")
    assert reasons(scene.after(minutes=1)) == [Reason.NO_LONGER_TRUE]
    assert reasons(scene.enters("a")) == [Reason.GROUPED]
    scene.after(minutes=10)
    scene.leaves("a")
    assert reasons(scene.enters("a")) == [Reason.REENTRY]


def test_a_group_that_falls_into_quiet_hours_waits_for_their_end() -> None:
    scene = Scene(plan_of({}, group=GROUP, quiet_hours=NIGHT), now_ms=ms("2026-03-02 17:59") + 45_000)
    assert reasons(scene.enters("a")) == [Reason.GROUPED]
    scene.enters("b")
    scene.after(hours=16)
    [only] = scene.sent
    assert (accounts(only), only.planned_at_ms) == (["a", "b"], ms("2026-03-03 08:00") + 30_000)


def test_what_two_plays_ask_for_stands_in_a_digest_once() -> None:
    scene = Scene(plan_of({}, {"template": "other"}, group={**GROUP, "max": 10}))
    scene.enters("a")
    scene.enters("b")
    scene.after(days=1)
    assert [accounts(one) for one in scene.sent] == [["a", "b"]]


def test_several_messages_about_an_account_wait_in_their_group_together_in_order() -> None:
    scene = Scene(
        plan_of({"segment": "*", "directions": ["entered", "exited"]}, group={**GROUP, "by": [], "max": 10}),
        restarts=True,
    )
    scene.enters("b")
    scene.enters("a", "trial")
    scene.enters("a")
    scene.enters("b", "trial")
    scene.leaves("b", "trial")
    scene.after(days=1)
    [only] = scene.sent
    assert [(one.news.account_id, one.news.fields["sequence"]) for one in only.items] == [
        ("b", 1), ("a", 1), ("a", 2), ("b", 3),
    ]  # fmt: skip


def test_of_several_entries_of_a_night_the_last_is_told() -> None:
    scene = Scene(plan_of({}, quiet_hours=NIGHT), now_ms=ms("2026-03-02 20:00"))
    for _ in range(3):
        scene.enters("restless")
        scene.after(minutes=10)
        scene.leaves("restless")
        scene.after(minutes=10)
    scene.enters("restless")
    scene.after(days=1)
    assert [one.news.fields["sequence"] for one in scene.sent] == [7]


def test_what_follows_a_message_that_is_held_is_held_with_it() -> None:
    scene = Scene(plan_of({"directions": ["entered", "exited"]}, budget_per_day=1), restarts=True)
    scene.enters("first")
    scene.enters("acme")
    scene.after(minutes=1)
    scene.leaves("acme")
    scene.enters("acme")
    scene.after(days=1)
    assert [accounts(one) for one in scene.sent] == [["first"], ["acme"]]


def test_as_many_groups_as_there_may_be_share_what_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.notify.plan.memory.GROUPS_MAX", 2)
    scene = Scene(plan_of({}, group={**GROUP, "by": ["account"], "wait_s": 0}))
    for n in range(2):
        scene.enters(f"a{n}")
        scene.look()
    for n in range(2, 5):
        scene.enters(f"a{n}")
    scene.after(seconds=1)
    assert [accounts(one) for one in scene.sent] == [["a0"], ["a1"], ["a2", "a3", "a4"]]


def test_records_of_a_group_come_to_a_bounded_size() -> None:
    scene = Scene(plan_of({}, group={**GROUP, "max": 100}))
    for n in range(10):
        scene.enters(f"a{n}", note="x" * 100_000)
    scene.after(minutes=1)
    assert (len(accounts(scene.sent[0])), scene.sent[0].more) == (5, 5)


# -- gathered for a time -----------------------------------------------------------------------------------------------


def test_what_a_play_gathers_is_told_at_its_time_as_one_digest() -> None:
    scene = Scene(plan_of({"on": {"digest": "0 8 * * mon-fri"}}, timezone="Europe/Berlin"), restarts=True)
    [first] = scene.enters("a")
    assert (first.reason, first.until_ms) == (Reason.GATHERED, ms("2026-03-03 07:00"))
    scene.enters("b")
    scene.enters("c")
    scene.leaves("b")
    scene.until(ms("2026-03-03 07:00"))
    [only] = scene.sent
    assert (accounts(only), only.kind, only.template) == (["a", "c"], MessageKind.DIGEST, "words")
    scene.enters("d")
    scene.until(ms("2026-03-04 07:00"))
    assert (accounts(scene.sent[1]), scene.sent[1].kind) == (["d"], MessageKind.DIGEST)


def test_what_is_gathered_does_not_hold_back_what_is_told_at_once() -> None:
    scene = Scene(plan_of({"on": {"digest": "0 8 * * *"}}, {"segment": "champion", "template": "now"}))
    scene.enters("a")
    assert reasons(scene.enters("a", "champion")) == [P]


# -- budget ------------------------------------------------------------------------------------------------------------


def test_what_is_over_the_budget_is_held_and_told_in_one_summary_the_next_day() -> None:
    scene = Scene(plan_of({}, budget_per_day=2, timezone="Europe/Berlin", quiet_hours=NIGHT), restarts=True)
    for n in range(6):
        scene.enters(f"a{n}")
    scene.leaves("a3")
    assert reasons(scene.said) == [P, P, *[Reason.OVER_BUDGET] * 4]
    scene.until(ms("2026-03-03 12:00"))
    assert [(accounts(one), one.template) for one in scene.sent[2:]] == [(["a2", "a4", "a5"], "standard-summary")]
    assert scene.sent[2].planned_at_ms == ms("2026-03-03 07:00")
    assert reasons(scene.enters("b")) == [P]
    assert reasons(scene.enters("c")) == [Reason.OVER_BUDGET]


def test_so_many_are_held_and_the_rest_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.notify.plan.pipeline.HELD_MAX", 3)
    scene = Scene(plan_of({}, budget_per_day=1), restarts=True)
    for n in range(10):
        scene.enters(f"a{n}")
    scene.until(ms("2026-03-03 01:00"))
    assert (accounts(scene.sent[1]), scene.sent[1].more) == (["a1", "a2", "a3"], 6)
    assert reasons(scene.said).count(Reason.BUDGET_FULL) == 6


def test_lists_and_digests_count_for_the_budget_too() -> None:
    plan = plan_of(
        {}, {"on": {"digest": "0 10 * * *"}, "list": {"segment": "trial"}, "template": "list"}, budget_per_day=1
    )
    scene = Scene(plan, rosters={"trial": [RosterMember("b", MONDAY_MS)]})
    scene.enters("a")
    assert reasons(scene.until(ms("2026-03-02 10:00"))) == [Reason.OVER_BUDGET]
    assert reasons(scene.until(ms("2026-03-03 10:00"))) == [P]
    assert reasons(scene.enters("c")) == [Reason.OVER_BUDGET]


def test_a_daily_list_does_not_use_up_a_small_budget_before_what_is_held_for_ever() -> None:
    plan = plan_of(
        {}, {"on": {"digest": "0 12 * * *"}, "list": {"segment": "trial"}, "template": "list"},
        budget_per_day=1, quiet_hours={"from": "18:00", "to": "13:00", "zone": "account"},
    )  # fmt: skip
    scene = Scene(plan, now_ms=ms("2026-03-02 14:00"), rosters={"trial": [RosterMember("b", MONDAY_MS)]})
    scene.enters("a")
    scene.enters("far", facts={"timezone": "America/New_York"})
    scene.until(ms("2026-03-02 19:00"))
    assert [accounts(one) for one in scene.sent] == [["a"]]
    scene.until(ms("2026-03-03 19:00"))
    assert [accounts(one) for one in scene.sent] == [["a"], ["far"]]


def test_what_is_held_longest_is_told_before_anything_else_uses_the_budget() -> None:
    quiet = {"from": "18:00", "to": "13:00", "zone": "account"}
    scene = Scene(plan_of({}, budget_per_day=1, quiet_hours=quiet), now_ms=ms("2026-03-02 14:00"), restarts=True)
    scene.enters("first")
    scene.enters("near")
    scene.enters("far", facts={"timezone": "America/New_York"})
    scene.until(ms("2026-03-03 13:30"))
    # The oldest is told though another of those held must wait for New York; what is new must wait for both.
    assert [accounts(one) for one in scene.sent] == [["first"], ["near"]]
    scene.until(ms("2026-03-04 13:30"))
    assert reasons(scene.enters("new")) == [Reason.OVER_BUDGET]
    scene.until(ms("2026-03-04 18:00"))
    assert [accounts(one) for one in scene.sent] == [["first"], ["near"], ["far"]]


def test_what_is_held_waits_for_the_next_budget_whatever_others_of_it_wait_for() -> None:
    """One of those held follows an entry that comes to last just before midnight, and is in a group until after it."""
    plan = plan_of(
        {"id": "lasts", "segment": "trial", "on": {"dwell_days": 0.5}},
        {},
        budget_per_day=1,
        group={**GROUP, "wait_s": 3_600},
    )
    scene = Scene(plan, now_ms=ms("2026-03-02 11:30"))
    scene.enters("a", "trial")
    scene.enters("first", "at_risk")
    scene.after(hours=1)
    scene.enters("a")
    scene.enters("c")
    scene.until(ms("2026-03-03 00:00"))
    assert [(one.delivery.news.account_id, one.until_ms) for one in scene.said[-2:]] == [
        ("a", ms("2026-03-03 00:30")), ("c", ms("2026-03-04 00:00")),
    ]  # fmt: skip


# -- what is bounded, removed, erased, tried again --------------------------------------------------------------------


def test_more_than_may_wait_ends_with_a_reason_and_so_does_what_has_no_play_any_more() -> None:
    scene = Scene(plan_of({"on": {"dwell_days": 1}}, {"segment": "champion"}))
    scene.planner._memory._waiting_max = 2
    for n in range(3):
        scene.enters(f"a{n}")
    assert reasons(scene.said) == [Reason.DWELLING, Reason.DWELLING, Reason.WAITING_FULL]
    scene.restart(plan_of({"id": "another", "segment": "champion"}))
    assert reasons(scene.after(days=2)) == [Reason.PLAY_REMOVED, Reason.PLAY_REMOVED]


def test_what_is_left_of_a_play_that_is_gone_ends_with_that_reason_in_groups_too() -> None:
    scene = Scene(plan_of({}, {"segment": "champion"}, group={**GROUP, "by": []}))
    scene.enters("a")
    scene.enters("b", "champion")
    scene.restart(plan_of({"id": "play-1", "segment": "champion"}, group={**GROUP, "by": []}))
    made = scene.after(minutes=1)
    assert [(one.delivery.play, one.reason) for one in made] == [("play-0", Reason.PLAY_REMOVED), ("play-1", P)]


def test_times_that_no_longer_hold_do_not_pile_up() -> None:
    memory = Memory()
    news, source = transition("acme", 1, MONDAY_MS)
    row = first_message(1, "play", "words", Match(Direction.ENTERED, "at_risk"), news, source, {})
    for n in range(5_000):
        memory.put(row.again(Phase.QUIET, MONDAY_MS + n))
    assert len(memory._heap) <= 1_010
    assert memory.next_ms() == MONDAY_MS + 4_999


def test_one_account_takes_a_bounded_share_of_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.notify.plan.memory.WAITING_PER_ACCOUNT_MAX", 3)
    scene = Scene(plan_of({"segment": "*"}, quiet_hours=NIGHT), now_ms=ms("2026-03-02 20:00"))
    for n in range(5):
        scene.enters("restless", f"segment_{n}")
    scene.enters("acme")
    assert [reasons(scene.said).count(reason) for reason in (Reason.WAITING_FULL, Reason.QUIET_HOURS)] == [2, 2]
    scene.after(days=1)
    assert [accounts(one) for one in scene.sent] == [["restless"]] * 3 + [["acme"]]


def test_what_waits_outlives_another_way_of_grouping_and_a_budget_that_is_gone() -> None:
    scene = Scene(plan_of({}, group=GROUP, budget_per_day=1))
    for n in range(3):
        scene.enters(f"a{n}")
        scene.after(minutes=6)
    scene.enters("last")
    assert len(scene.sent) == 1
    scene.restart(plan_of({}))
    scene.after(days=2)
    assert [accounts(one) for one in scene.sent] == [["a0"], ["last"], ["a1", "a2"]]


def test_accounts_are_bounded_and_those_that_something_waits_for_are_kept() -> None:
    scene = Scene(plan_of({"on": {"dwell_days": 1}}, {"segment": "champion"}))
    scene.planner._memory._accounts_max = 3
    scene.enters("waits")
    for n in range(10):
        scene.enters(f"a{n}", "champion")
    assert scene.planner.accounts <= 4
    scene.after(days=2)
    assert accounts(scene.sent[-1]) == ["waits"]
    assert scene.planner._memory.forgotten >= 7


def test_which_account_was_heard_of_least_recently_outlives_a_restart() -> None:
    scene = Scene(plan_of({"segment": "champion"}))
    for name in ("z", "a", "m", "z"):
        scene.enters(name, "champion")
    scene.restart()
    scene.enters("a", "champion")
    scene.restart()
    scene.planner._memory._accounts_max = 3
    scene.enters("b", "champion")
    scene.enters("c", "champion")
    assert {key for key in scene.rows if key.startswith("a/")} == {"a/a", "a/b", "a/c"}


def test_an_erased_account_is_forgotten_with_all_that_waits_about_it() -> None:
    scene = Scene(plan_of({"on": {"dwell_days": 1}}))
    scene.enters("acme")
    scene.planner.forget("acme")
    scene.note([])
    assert scene.rows == {}
    assert scene.after(days=2) == []


def test_an_operator_can_have_any_delivery_again_and_one_of_a_digest_by_itself() -> None:
    plan = plan_of(
        {"on": {"dwell_days": 14}}, {**NURTURE, "template": "first"}, {"segment": "champion"}, book=GOALS, group=GROUP
    )
    scene = Scene(plan)
    news, source = transition("acme", 1, MONDAY_MS)
    wanted = {
        delivery_id("team", "acme-1", "words", "dwell 14"): 0,
        delivery_id("team", "acme-1", "first"): 0,
        delivery_id("team", "acme-1", "third", "step play-1 2"): 2,
    }
    for name, step in wanted.items():
        [made] = scene.planner.again(name, None, news, source, {}, MONDAY_MS + 40 * DAY_MS)
        assert (made.reason, made.delivery.delivery_id, made.delivery.step) == (P, name, step)
    [made] = scene.planner.again("of a digest", "play-1", news, source, {}, MONDAY_MS)
    assert made.delivery.template == "first"
    assert scene.planner.again("of a digest", "play-2", news, source, {}, MONDAY_MS) == []
    assert scene.planner.changes() == []


def test_news_that_comes_twice_waits_once() -> None:
    scene = Scene(plan_of({"on": {"dwell_days": 1}}))
    news, source = transition("acme", 1, MONDAY_MS)
    for expected in (Reason.DWELLING, Reason.ALREADY_OPEN):
        assert reasons(scene.planner.take(news, source, {}, MONDAY_MS)) == [expected]
    scene.after(days=2)
    assert len(scene.sent) == 1


def test_a_row_of_another_version_is_refused() -> None:
    scene = Scene(plan_of({}))
    for key, row in (("w/1", b"x"), ("z/1", b"\x90"), ("a/acme", b"\x01")):
        with pytest.raises(ValueError, match="cannot be read"):
            scene.planner.restore(key, row)


def test_rows_are_kept_only_of_what_matters() -> None:
    scene = Scene(plan_of({}, {"on": "exited", "template": "gone"}, group=GROUP, budget_per_day=100))
    for n in range(5):
        scene.enters(f"a{n}")
        scene.leaves(f"a{n}")
    scene.after(days=1)
    assert set(scene.rows) <= {"b", "g/by:segment=at_risk"}
