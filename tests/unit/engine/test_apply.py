"""Section 2 of the contract: what a record does, and what happens at every limit."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import limits
from streams.engine import codec
from streams.engine.apply import EVENT_NAME_CHARS_MAX, NESTED_TRAIT_PARTS_MAX, Noted
from streams.engine.partition import Outcome
from tests.unit.engine.building import DAY, GRACE, HOUR, MIDNIGHT, START, Log, program_of


def log_of(*rules: str, **entries: Any) -> Log:
    return Log(program_of(*(rules or ("True",)), **entries))


def noted(log: Log) -> dict[Noted, int]:
    return {what: often for what, often in log.partition.counts.items() if what is not Noted.APPLIED}


# --- activity and signals ---


@pytest.mark.parametrize("kind", ["track", "page", "screen"])
def test_track_page_and_screen_are_activity(kind: str) -> None:
    log = log_of()
    log.record({"type": kind, "event": "x", "userId": "u"}, START)
    account = log.account()
    assert account.events.keys() == {"x" if kind == "track" else kind}
    assert (account.total, account.last_active, set(account.users)) == (1, START, {"u"})


@pytest.mark.parametrize("kind", ["identify", "group", "alias"])
def test_identify_group_and_alias_are_none(kind: str) -> None:
    log = log_of()
    log.record({"type": kind, "event": "x", "userId": "u", "properties": {"team": "red"}}, START)
    account = log.account()
    assert (account.events, account.total, account.users, account.teams) == ({}, 0, {}, {})
    assert (account.first_seen, account.last_active, log.working().last_active_at) == (START, None, START)


def test_a_signal_counts_under_its_own_name_only() -> None:
    log = log_of(
        'count("ping", days=1) == 1',
        'count("*") + score(days=1) + active_users(days=1) + teams(days=1) + active_days(days=1) > 0',
        "core_features(days=1) > 0",
        "activated",
        "known(first_value_at)",
        signals=["ping"],
        core_features=["ping"],
        checklist=[{"event": "ping"}],
        value_event="ping",
    )
    log.track("ping", START + HOUR, {"team": "red"}, user="u")
    assert log.members() == {"s0", "s3", "s4"}
    assert log.account().last_active is None


def test_a_signal_of_any_age_is_taken() -> None:
    log = log_of('count("ping") == 1', 'count("ping", days=92) > 0', signals=["ping"])
    assert log.track("ping", START - 500 * DAY, a=START) is Outcome.APPLIED
    assert log.members() == {"s0"}


def test_scores_are_exact_sums_of_thousandths() -> None:
    log = log_of("score(days=1) == 0.3", weights={"a": 0.1, "b": "0.125", "c": -2})
    for _ in range(3):
        log.track("a", START)
    assert log.members() == {"s0"}
    log.track("b", START)
    log.track("c", START)
    log.track("other", START)
    assert log.account().activity.by_day() == {START // DAY: 300 + 125 - 2_000 + 1_000}


def test_a_named_event_counts_under_both_names_and_once_in_all() -> None:
    log = log_of(
        'count("run") == 2 and count("big") == 1 and count("*") == 2 and score(days=1) == 8',
        events={
            "big": {"event": "run", "where": 'property("rows") >= 1000'},
            "api": {"event": "run", "where": 'property("source.kind") == "api"'},
        },
        weights={"run": 3, "big": 5},
        core_features=["big"],
    )
    log.track("run", START, {"rows": 1_000, "source": {"kind": "api"}})
    log.track("run", START, {"rows": 999})
    assert log.members() == {"s0"}
    assert {name: series.total for name, series in log.account().events.items()} == {"run": 2, "big": 1, "api": 1}


def test_a_record_is_a_signal_if_one_of_its_names_is() -> None:
    where = {"event": "run", "where": 'property("test") == True'}
    log = log_of('count("*") > 0', 'count("run") > 0', events={"dry_run": where}, signals=["dry_run"])
    log.track("run", START, {"test": True})
    assert log.members() == {"s1"}


# --- too late ---


@pytest.mark.parametrize(("age_days", "outcome"), [(0, Outcome.APPLIED), (91, Outcome.APPLIED), (92, Outcome.TOO_LATE)])
def test_activity_of_the_last_92_days_is_taken(age_days: int, outcome: Outcome) -> None:
    log = log_of()
    log.group({}, START)
    assert log.track("a", START - age_days * DAY, a=START) is outcome
    assert log.account().total == (outcome is Outcome.APPLIED)


def test_the_day_that_counts_is_that_of_the_clock_after_the_record() -> None:
    log = log_of()
    log.group({}, MIDNIGHT - DAY)
    assert log.track("a", MIDNIGHT - 92 * DAY, a=MIDNIGHT + GRACE - 1) is Outcome.APPLIED
    assert log.track("a", MIDNIGHT - 92 * DAY, a=MIDNIGHT + GRACE) is Outcome.TOO_LATE


def test_what_is_too_late_moves_the_clocks_and_is_known_when_it_comes_again() -> None:
    log = log_of("since(signed_up_at) >= 1")
    log.group({}, START)
    assert log.track("a", START - 200 * DAY, a=START + DAY + GRACE, message="late") is Outcome.TOO_LATE
    assert log.account().now == START + DAY
    assert log.account().first_seen == START, "it is not applied: the sign-up stays"
    assert log.story() == [("s0", "entered", START + DAY)]
    assert log.track("a", START - 200 * DAY, a=START + DAY + GRACE, message="late") is Outcome.DUPLICATE
    assert noted(log) == {Noted.TOO_LATE: 1, Noted.DUPLICATE: 1}


def test_billing_that_is_activity_is_a_fact_however_late() -> None:
    log = log_of("stage == 'customer'", 'count("subscription_started") > 0', "mrr == 5", signals=[])
    assert log.track("subscription_started", START - 200 * DAY, {"mrr": 5}, a=START) is Outcome.TOO_LATE
    assert log.members() == {"s0", "s2"}


# --- duplicates ---


def test_an_id_is_known_while_among_the_last_512() -> None:
    log = log_of()
    log.track("a", START, message="first")
    for _ in range(limits.MESSAGE_IDS_MAX - 1):
        log.track("a", START)
    assert log.track("a", START, message="first") is Outcome.DUPLICATE
    log.track("a", START)
    assert log.track("a", START, message="first") is Outcome.APPLIED
    assert len(log.account().message_ids) == limits.MESSAGE_IDS_MAX


@pytest.mark.parametrize(("age", "outcome"), [(DAY, Outcome.DUPLICATE), (DAY + 1, Outcome.APPLIED)])
def test_an_id_is_known_for_24_hours(age: int, outcome: Outcome) -> None:
    """Counted on the arrival clock before the record: its own arrival does not make it older."""
    log = log_of()
    log.track("a", START, message="m")
    log.track("a", START + age)
    assert log.track("a", START + 10 * DAY, message="m") is outcome


def test_a_duplicate_changes_nothing_at_all() -> None:
    log = log_of()
    log.track("a", START, message="m")
    before = codec.encode(log.account())
    log.partition.take_changes()
    assert log.track("b", START + HOUR, {"team": "x"}, user="u", message="m") is Outcome.DUPLICATE
    assert codec.encode(log.account()) == before
    assert not log.partition.has_changes()


def test_ids_are_of_one_account() -> None:
    log = log_of()
    log.track("a", START, message="m", account="acme")
    assert log.track("a", START, message="m", account="bolt") is Outcome.APPLIED


# --- traits ---


def test_a_trait_is_the_value_with_the_greatest_time_and_a_tie_goes_to_the_later_record() -> None:
    log = log_of()
    log.group({"plan": "one", "mrr": 1}, START + HOUR)
    log.group({"plan": "old"}, START, a=START + HOUR)
    log.group({"mrr": 2}, START + HOUR)
    assert {key: value for key, (_, value) in log.account().traits.items()} == {"plan": "one", "mrr": 2}
    log.group({"plan": None}, START + 2 * HOUR)
    assert log.working().plan is None


def test_values_are_whole_never_merged() -> None:
    log = log_of()
    log.group({"usage": {"api": 1}}, START)
    log.group({"usage": {"seats": 2}}, START)
    assert log.account().trait("usage") == {"seats": 2}


def test_identify_traits_are_the_users() -> None:
    log = log_of()
    log.record({"type": "identify", "traits": {"plan": "team"}}, START)
    assert log.account().traits == {}


@pytest.mark.parametrize("event", ["subscription_started", "plan_changed"])
def test_billing_writes_plan_and_mrr_like_a_group_call(event: str) -> None:
    log = log_of()
    log.group({"plan": "free", "mrr": 0, "seats": 5}, START)
    log.track(event, START + HOUR, {"plan": "team", "mrr": 99, "seats": 9})
    assert (log.working().plan, log.working().mrr, log.working().seats) == ("team", 99, 5)
    log.track(event, START, {"plan": "older"}, a=START + HOUR)
    assert log.working().plan == "team"


def test_mrr_outlives_a_cancellation() -> None:
    log = log_of()
    log.track("subscription_started", START, {"mrr": 99})
    log.track("subscription_cancelled", START + HOUR, {"mrr": 0, "plan": "none"})
    assert (log.working().mrr, log.working().stage(START + HOUR)) == (99, "cancelled")


# --- stage ---


def stage_after(*events: tuple[str, int]) -> str:
    log = log_of()
    latest = START
    for name, t in events:
        latest = max(latest, t)
        log.track(name, t, a=latest)
    return log.working().stage(log.account().now)


STARTED, CANCELLED = "subscription_started", "subscription_cancelled"


@pytest.mark.parametrize(
    ("events", "stage"),
    [
        ([("a", START)], "trial"),
        ([(STARTED, START)], "customer"),
        ([(CANCELLED, START)], "cancelled"),
        ([(STARTED, START), (CANCELLED, START + 1)], "cancelled"),
        ([(CANCELLED, START + 1), (STARTED, START)], "cancelled"),
        ([(CANCELLED, START), (STARTED, START + 1)], "customer"),
        ([(STARTED, START), (CANCELLED, START)], "cancelled"),
        ([(CANCELLED, START), (STARTED, START)], "customer"),
        ([(STARTED, START), (CANCELLED, START), (STARTED, START)], "customer"),
        ([(CANCELLED, START), (STARTED, START), (CANCELLED, START)], "cancelled"),
        ([(STARTED, START + 2), (CANCELLED, START), (STARTED, START)], "customer"),
        ([(STARTED, START), (CANCELLED, START), (STARTED, START + 1), (CANCELLED, START + 1)], "cancelled"),
        ([(STARTED, START + 1), (CANCELLED, START + 1), (CANCELLED, START), (STARTED, START)], "cancelled"),
    ],
)
def test_the_later_of_start_and_cancellation_decides_and_a_tie_goes_to_the_later_record(
    events: list[tuple[str, int]], stage: str
) -> None:
    assert stage_after(*events) == stage


def test_a_trial_ends_when_it_says() -> None:
    log = log_of("stage == 'expired'", trial_days=7)
    log.track("a", START)
    log.until(START + 7 * DAY - 1)
    assert log.members() == set()
    log.until(START + 7 * DAY)
    assert log.members() == {"s0"}


def test_an_earlier_record_moves_the_sign_up_back_and_the_trial_with_it() -> None:
    log = log_of("stage == 'expired'", trial_days=7)
    log.track("a", START)
    log.track("a", START - 7 * DAY, a=START)
    assert log.story() == [("s0", "entered", START)]


def test_created_at_and_trial_ends_at_are_traits_while_they_can_be_read() -> None:
    log = log_of(trial_days=7)
    log.group({"createdAt": "2026-01-01T00:00:00Z", "trialEndsAt": "2026-05-01T00:00:00Z"}, START)
    created = log.working().signed_up_at
    assert created < START
    assert log.working().trial_ends_at > START
    log.group({"trialEndsAt": None}, START + 1)
    assert log.working().trial_ends_at == created + 7 * DAY
    log.group({"createdAt": "soon"}, START + 2)
    assert log.working().signed_up_at == START


# --- checklist ---


def test_a_step_is_done_when_its_count_is_reached_and_stays_done() -> None:
    log = log_of(checklist=[{"event": "a", "count": 2}, {"event": "ping"}], signals=["ping"])
    log.track("a", START)
    log.track("a", START - DAY, a=START + HOUR)
    assert log.account().steps == {"2:a": START + HOUR - GRACE}, "at the clock of the record, however old the event"
    assert log.working().activation_rate == 0.5
    log.track("ping", START + 2 * HOUR)
    assert log.working().activated_at == START + 2 * HOUR
    log.track("a", START + 3 * HOUR)
    assert log.account().steps["2:a"] == START + HOUR - GRACE


# --- nps ---


def test_nps_is_the_mean_of_the_users_latest_answers() -> None:
    log = log_of()
    log.track("nps_answered", START, {"score": 10}, user="u1")
    log.track("nps_answered", START + HOUR, {"score": 5}, user="u2")
    log.track("nps_answered", START, {"score": 0}, user="u2", a=START + HOUR)
    assert log.working().nps == 7.5
    log.track("nps_answered", START + HOUR, {"score": 6}, user="u2")
    assert log.working().nps == 8


@pytest.mark.parametrize("score", [None, "9", True, 11, -1, 10.5, [9]])
def test_an_answer_that_is_no_number_from_0_to_10_is_ignored_and_counted(score: Any) -> None:
    log = log_of()
    log.track("nps_answered", START, {"score": score}, user="u")
    assert (log.working().nps, noted(log)) == (None, {Noted.NPS_IGNORED: 1})


def test_an_answer_of_nobody_is_ignored_and_counted() -> None:
    log = log_of()
    log.track("nps_answered", START, {"score": 9})
    assert (log.working().nps, noted(log)) == (None, {Noted.NPS_IGNORED: 1})


# --- limits ---


def test_a_name_that_is_seldom_used_remembers_no_day_that_is_in_no_window_any_more() -> None:
    log = log_of('count("a", days=92) >= 2')
    for number in range(9):
        log.track("a", START + number * 50 * DAY)
    series = log.account().events["a"]
    assert (series.total, len(series), len(log.account().activity)) == (9, 2, 2)
    log.until(START + 500 * DAY)
    assert [direction for _, direction, _ in log.story()] == ["entered", "exited"] * 8, "two of them, for 42 days each"


def test_users_are_limited_and_the_least_recently_active_goes() -> None:
    log = log_of("active_users(days=92) >= 1")
    for number in range(limits.USERS_MAX):
        log.track("a", START + DAY, user=f"u{number:04}")
    log.track("a", START, user="old", a=START + DAY)
    assert len(log.account().users) == limits.USERS_MAX
    assert "old" not in log.account().users, "it is the least recently active itself"
    log.track("a", START + 2 * DAY, user="new")
    assert "u0000" not in log.account().users
    assert "new" in log.account().users
    assert noted(log) == {Noted.USER_EVICTED: 2}
    assert list(log.working().values) == [limits.USERS_MAX]


def test_teams_are_limited_and_the_least_recently_active_goes() -> None:
    log = log_of("teams(days=2) >= 1")
    for number in range(limits.TEAMS_MAX):
        log.track("a", START, {"team": f"t{number}"})
    log.track("a", START + DAY, {"team": "new"})
    assert (len(log.account().teams), "new" in log.account().teams) == (limits.TEAMS_MAX, True)
    assert (noted(log), list(log.working().values)) == ({Noted.TEAM_EVICTED: 1}, [limits.TEAMS_MAX])


def test_event_names_are_limited_and_the_least_recent_goes() -> None:
    log = log_of('count("e0", days=7) >= 1')
    for number in range(limits.EVENT_NAMES_MAX):
        log.track(f"e{number}", START + number)
    assert log.members() == {"s0"}
    log.track("one_more", START + HOUR)
    assert len(log.account().events) == limits.EVENT_NAMES_MAX
    assert (noted(log), log.members()) == ({Noted.EVENT_EVICTED: 1}, set())
    log.track("e0", START + HOUR)
    assert log.members() == {"s0"}
    assert log.account().total == limits.EVENT_NAMES_MAX + 2, "all activity is still all activity"


def test_nps_answers_are_limited_and_the_oldest_goes() -> None:
    log = log_of()
    for number in range(limits.USERS_MAX + 1):
        log.track("nps_answered", START + number, {"score": 10 if number else 0}, user=f"u{number}")
    assert (len(log.account().nps), log.working().nps) == (limits.USERS_MAX, 10)
    assert noted(log) == {Noted.ANSWER_EVICTED: 1}


def test_traits_are_limited_and_the_oldest_goes() -> None:
    log = log_of()
    log.group({f"k{number}": number for number in range(limits.TRAITS_MAX)}, START)
    log.group({"new": 1}, START + 1)
    assert len(log.account().traits) == limits.TRAITS_MAX
    assert "new" in log.account().traits
    log.group({"older": 1}, START - 1, a=START + 1)
    assert "older" not in log.account().traits
    assert noted(log) == {Noted.TRAIT_EVICTED: 2}


@pytest.mark.interpreted
def test_measured_values_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.measures.MEASURE_VALUES_MAX", 2)
    log = log_of(measures={"kinds": {"event": "a", "property": "kind", "aggregate": "unique"}})
    for kind in "xyz":
        log.track("a", START, {"kind": kind})
    assert noted(log) == {Noted.VALUE_EVICTED: 1}


def is_hash(known: Iterable[str]) -> bool:
    (identity,) = known
    return identity.startswith("blake2b:") and len(identity) == 40


def test_identities_of_255_bytes_are_kept_and_longer_ones_that_differ_stay_two() -> None:
    log = log_of()
    for user in ("u" * 255, "é" * 128, "é" * 128 + "x", "é" * 128):
        log.record({"type": "track", "event": "e", "userId": user}, START)
    assert len(log.account().users) == 3
    assert "u" * 255 in log.account().users


def test_nested_traits_are_limited_in_bytes() -> None:
    log = log_of()
    log.group({"k": ["v" * 1_000] * 8, "l": ["v" * 1_000] * 9}, START)
    assert log.account().trait("k") is not None
    assert log.account().trait("l") is None
    assert noted(log) == {Noted.TRAIT_TOO_LARGE: 1}


@pytest.mark.interpreted
def test_unique_values_are_limited_over_all_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.engine.measures.ACCOUNT_MEASURE_VALUES_MAX", 2)
    one, other = ({"event": "a", "property": name, "aggregate": "unique"} for name in ("one", "other"))
    log = log_of(measures={"one": one, "other": other})
    log.track("a", START, {"one": "x"})
    log.track("a", START + DAY, {"other": "x"})
    log.track("a", START + DAY, {"other": "y"})
    assert noted(log) == {Noted.VALUE_EVICTED: 1}
    assert not log.account().measures["one"].values


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (
            {"type": "track", "event": "e" * 1_000},
            lambda account: max(map(len, account.events)) == EVENT_NAME_CHARS_MAX,
        ),
        ({"type": "track", "event": "e", "userId": "u" * 1_000}, lambda account: is_hash(account.users)),
        (
            {"type": "track", "event": "e", "properties": {"team": "t" * 1_000}},
            lambda account: is_hash(account.teams),
        ),
        (
            {"type": "track", "event": "nps_answered", "userId": "u" * 1_000, "properties": {"score": 9}},
            lambda account: is_hash(account.nps),
        ),
        ({"type": "group", "traits": {"k" * 1_000: 1}}, lambda account: max(map(len, account.traits)) == 100),
        ({"type": "group", "traits": {"k": "v" * 9_000}}, lambda account: len(account.trait("k")) == 1_000),
        ({"type": "group", "traits": {"k": ["v" * 9_000]}}, lambda account: len(account.trait("k")[0]) == 1_000),
        (
            {"type": "group", "traits": {"k": {"x" * 900: 1}}},
            lambda account: len(next(iter(account.trait("k")))) == 100,
        ),
    ],
)
def test_texts_are_cut_and_counted(fields: dict[str, Any], kept: Any) -> None:
    log = log_of()
    log.record(fields, START)
    assert kept(log.account())
    assert noted(log) == {Noted.TEXT_CUT: 1}


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [
        (list(range(NESTED_TRAIT_PARTS_MAX - 1)), True),
        (list(range(NESTED_TRAIT_PARTS_MAX)), False),
        ({str(key): key for key in range(NESTED_TRAIT_PARTS_MAX)}, False),
        ([[[[[[1]]]]]], True),
        ({"a": {"b": [1, {"c": None}]}}, True),
    ],
)
def test_nested_traits_are_limited_in_parts(value: Any, *, is_kept: bool) -> None:
    log = log_of()
    log.group({"k": value}, START)
    assert log.account().trait("k") == (value if is_kept else None)
    assert noted(log) == ({} if is_kept else {Noted.TRAIT_TOO_LARGE: 1})


def test_fifty_resources_are_compared() -> None:
    log = log_of("usage_ratio > 0.48")
    names = [f"r{number:02}" for number in range(50)]
    log.group({"usage": {name: place for place, name in enumerate(names)}, "limits": dict.fromkeys(names, 100)}, START)
    assert log.members() == {"s0"}


# --- hostile values ---


@pytest.mark.parametrize(
    ("value", "mrr"),
    [
        (2**63, 2**63),
        (2**64 - 1, 2**64 - 1),
        (2**64, float(2**64)),
        (-(2**63) - 1, float(-(2**63))),
        (10**300, 1e300),
        (5e-324, 5e-324),
        (True, None),
        ("99", None),
        ({}, None),
    ],
)
def test_a_number_of_any_size_is_stored(value: Any, mrr: float | None) -> None:
    log = log_of()
    log.group({"mrr": value, "deep": [value]}, START)
    assert log.working().mrr == mrr
    assert codec.decode(codec.encode(log.account())) == log.account()


nasty_texts = st.text(max_size=5) | st.sampled_from(
    ["", "\0", "\N{PILE OF POO}", "a\nb", "\u2028", "'\"", "ä" * 300, "e" * 2_000]
)
nasty = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | nasty_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(nasty_texts, inner, max_size=4),
    max_leaves=20,
)
names = nasty_texts | st.sampled_from(["a", "nps_answered", STARTED, CANCELLED, "plan_changed"])


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["track", "group", "page", "identify"]),
    names,
    st.dictionaries(st.sampled_from(["team", "score", "mrr", "plan", "usage", "limits", "createdAt", "rows"]), nasty),
    nasty,
)
def test_no_value_stops_the_engine_and_all_of_it_can_be_stored(
    kind: str, name: str, values: dict[str, Any], user: Any
) -> None:
    log = log_of(
        "mrr * seats > 3 or usage_ratio > 0.5",
        "contains(trait('plan'), 'a') or trait('mrr') == 'x'",
        'measure("rows", days=7) > 3',
        measures={"rows": {"event": "a", "property": "rows", "aggregate": "sum"}},
    )
    fields = {"type": kind, "event": name or "a", "properties": values, "traits": values, "userId": user}
    log.record(fields, START)
    log.until(START + 100 * DAY)
    assert codec.decode(codec.encode(log.account())) == log.account()


def test_noted_words_are_all_different() -> None:
    assert len({noted.value for noted in Noted}) == len(Noted)
