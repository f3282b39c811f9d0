from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from schemas.catalog import WEIGHT_MAX
from streams import limits
from streams.engine import codec, measures
from streams.engine.account import Account, Activity, EventSeries, account_of
from streams.engine.naming import WEIGHT_UNIT
from streams.engine.partition import Partition
from streams.engine.program import compile_catalog
from streams.engine.rules.linear import NEVER
from streams.engine.working import Working, usage_ratio
from tests.unit.engine.building import DAY, HOUR, MIDNIGHT, START, Log, program_of
from tests.unit.engine.logs import EVENTS, RULES, Sent, logs

COUNTED = (*EVENTS, *RULES.events)
SPANS = ((1, 0), (2, 0), (7, 0), (92, 0), (1, 1), (3, 4), (46, 46), (1, 91))
WINDOWS = {
    f"{name}_{place}_{days}_{before}": f"{term}days={days}, before={before})"
    for place, (name, term) in enumerate(
        [("score", "score("), ("all", 'count("*", '), *((name, f'count("{name}", ') for name in COUNTED)]
    )
    for days, before in SPANS
}
DISTINCT = {
    f"{term}_{days}": f"{term}(days={days})"
    for term in ("active_users", "active_days", "core_features", "teams")
    for days in (1, 2, 7, 92)
}
FACTS = (
    {
        f"fact_{name}": name
        for name in (
            "stage",
            "activated",
            "activation_rate",
            "plan",
            "mrr",
            "seats",
            "usage_ratio",
            "nps",
            "signed_up_at",
        )
    }
    | {
        f"time_{name}": name
        for name in (
            "trial_ends_at",
            "activated_at",
            "converted_at",
            "cancelled_at",
            "last_active_at",
            "first_value_at",
        )
    }
    | {f"ever_{name}": f'count("{name}")' for name in (*COUNTED, "*")}
    | {f"last_{name}": f'last("{name}")' for name in COUNTED}
)
PAIRS = {f"pair_{days}": f'sequence("run", "share", within_days=2, days={days})' for days in (1, 5, 92)}
MEASURES = {
    f"{name}_{days}_{before}": f'measure("{name}", days={days}, before={before})'
    for name in RULES.measures
    for days, before in SPANS
}
EVERYTHING = RULES.model_copy(update={"definitions": WINDOWS | DISTINCT | FACTS | PAIRS | MEASURES})


PROGRAM = compile_catalog(EVERYTHING)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that even a short log exceeds."""
    monkeypatch.setattr(limits, "USERS_MAX", 2)
    monkeypatch.setattr(limits, "TEAMS_MAX", 1)
    monkeypatch.setattr(limits, "EVENT_NAMES_MAX", 3)
    monkeypatch.setattr(limits, "TRAITS_MAX", 3)
    monkeypatch.setattr(measures, "MEASURE_VALUES_MAX", 2)


def readings(account: Account, working: Working) -> dict[str, Any]:
    return {"members": working.members, "values": list(working.values)} | PROGRAM.definitions(
        account, working, account.now, working.members
    )


def check_rebuilt(log: list[Sent]) -> None:
    partition = Partition(PROGRAM)
    for sent in log:
        sent.to(partition)
        found = partition.account(sent.account)
        if found is not None:
            account, working = found
            stored = codec.decode(codec.encode(account))
            assert stored == account
            assert readings(stored, Working(PROGRAM, stored)) == readings(account, working)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs())
def test_a_working_set_is_what_would_be_rebuilt_from_the_state(log: list[Sent]) -> None:
    check_rebuilt(log)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(accounts=("acme",), min_size=5))
def test_a_working_set_is_what_would_be_rebuilt_also_when_limits_bite(small: None, log: list[Sent]) -> None:
    check_rebuilt(log)


# --- one by one ---


def test_pairs_leave_their_window_though_their_event_name_was_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The edge of the window is known after a restart, too, when all that is left of the event is the pair."""
    monkeypatch.setattr(limits, "EVENT_NAMES_MAX", 2)
    rule = 'sequence("nps_answered", "plan_changed", within_days=1, days=3)'
    stories = []
    for restarts in (False, True):
        log = Log(program_of(rule))
        log.track("nps_answered", START)
        log.track("plan_changed", START)
        log.track("support_ticket_opened", START + DAY)
        log.track("subscription_started", START + DAY)
        if restarts:
            restored = Partition(log.program)
            for account_id, stored in log.partition.take_changes():
                restored.restore(account_id, stored)
            log.partition = restored
        log.track("nps_answered", START + DAY + HOUR)
        log.until(START + 10 * DAY)
        stories.append(log.story())
    assert stories[0] == stories[1] == [("s0", "entered", START), ("s0", "exited", MIDNIGHT + 2 * DAY)]


def test_a_repeated_checklist_step_counts_as_often_as_it_stands() -> None:
    """Done is done / all of the checklist as it is written."""
    log = Log(program_of("activation_rate > 0.5", checklist=[{"event": "a"}, {"event": "a"}, {"event": "b"}]))
    log.track("a", START)
    assert log.working().activation_rate == 2 / 3
    log.track("b", START)
    assert log.working().activated


def test_an_empty_checklist_is_never_done() -> None:
    log = Log(program_of("activated or activation_rate > 0"))
    log.track("a", START)
    assert (log.working().activated, log.working().activation_rate, log.story()) == (False, 0, [])


@pytest.mark.parametrize(
    ("usage", "limit", "ratio"),
    [
        ({"api": 80, "seats": 9}, {"api": 100, "seats": 10}, 0.9),
        ({"api": 80}, {"api": 0}, None),
        ({"api": 80}, {"api": -5}, None),
        ({"api": -5}, {"api": 10}, -0.5),
        ({"api": "80"}, {"api": 100}, None),
        ({"api": True}, {"api": 100}, None),
        ({"api": 80}, {"seats": 100}, None),
        ({"api": 1e308}, {"api": 1e-308}, None),  # no number any more
        ({}, {}, None),
        (None, {"api": 1}, None),
        ([1], {"api": 1}, None),
        ({"api": 1}, "api", None),
        ({f"r{place:02}": place for place in range(60)}, {f"r{place:02}": 100 for place in range(60)}, 0.49),
    ],
)
def test_usage_is_the_highest_share_of_a_limit(usage: Any, limit: Any, ratio: float | None) -> None:
    assert usage_ratio(usage, limit) == ratio


def test_the_next_edge_is_the_first_day_on_which_a_window_changes() -> None:
    log = Log(program_of('count("a", days=3, before=2) > 5'))
    log.track("a", START)
    edges = []
    for _ in range(3):
        edges.append(log.account().next_at)
        log.until(edges[-1])
    assert edges[:2] == [MIDNIGHT + DAY, MIDNIGHT + 4 * DAY], "it comes in two days later, and goes after three more"
    assert edges[2] == NEVER


def test_the_longest_window_has_an_edge_too() -> None:
    log = Log(program_of('count("a", days=92) > 0'))
    log.track("a", START)
    log.until(START + 200 * DAY)
    assert log.story() == [("s0", "entered", START), ("s0", "exited", MIDNIGHT + 91 * DAY)]
    assert log.account().next_at == NEVER


@pytest.mark.parametrize("age", range(limits.RETENTION_DAYS))
def test_on_what_days_anything_was_counted_is_known_of_every_day_in_reach(age: int) -> None:
    program = program_of('count("a", days=92) > 0')
    day, at = START // DAY - age, START - age * DAY
    counted = [
        account_of(now=START, activity=Activity({day: 1})),
        account_of(now=START, events={"a": EventSeries(1, at, at, {day: 3})}),
        account_of(now=START, sequences={"any": at}),
    ]
    assert [Working(program, account).counted for account in counted] == [1 << age] * 3


def test_the_figures_kept_are_as_many_as_windows_however_long_an_account_lives() -> None:
    log = Log(program_of('count("a", days=92) >= 91'))
    for day in range(400):
        log.track("a", START + day * DAY)
    working = log.working()
    assert len(working.values) == 1
    assert len(log.account().activity) <= 93
    assert log.story() == [("s0", "entered", START + 90 * DAY)]


@pytest.mark.parametrize("weight", [WEIGHT_MAX, -WEIGHT_MAX])
def test_sums_of_the_greatest_weights_are_exact_and_have_room_for_more_events_than_there_can_be(weight: int) -> None:
    """The numbers are of 64 bits, and nothing asks on the way whether a sum still fits."""
    log = Log(program_of(f"abs(score(days=92)) > {92 * 3 * WEIGHT_MAX - 1}", weights={"a": weight}))
    for day in range(92):
        for _ in range(3):
            log.track("a", START + day * DAY)
    assert list(log.working().values) == [92 * 3 * weight * WEIGHT_UNIT]
    assert log.story() == [("s0", "entered", START + 91 * DAY)]
    events_per_s = 1_000
    assert 92 * 86_400 * events_per_s * WEIGHT_MAX * WEIGHT_UNIT < 1 << 63


def test_a_weight_beyond_the_greatest_is_refused() -> None:
    for weight in (WEIGHT_MAX + 1, -WEIGHT_MAX - 1):
        with pytest.raises(ValidationError, match=r"weights\.a"):
            program_of("score() > 0", weights={"a": weight})
