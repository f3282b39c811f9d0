"""Random logs for laws: records of several accounts, in order and out of order, with the values that hurt."""

from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from schemas.timestamps import format_ms
from streams.engine.partition import Outcome, Partition
from tests.unit.engine.building import DAY, GRACE, HOUR, SECOND, START, catalog_of, event_of

ACCOUNTS: Final = ("acme", "bolt", "čapek")
EVENTS: Final = ("run", "share", "invite", "rare", "page", "support_ticket_opened")


class Sent(NamedTuple):
    """One record, as the producer sent it, and when it arrived."""

    account: str
    fields: dict[str, Any]
    arrival: int

    def to(self, partition: Partition) -> Outcome:
        event, raw = event_of(self.fields)
        return partition.apply(self.account, event, raw, self.arrival)


users = st.sampled_from([None, "u1", "u2", "u3", "u4", "u5"])
events = st.sampled_from(EVENTS)
teams = st.sampled_from(["red", "blue", "green", "", 7, None])
rows = st.sampled_from([1, 2.5, 100, -3, 10**17, "many", None, True])
advances = st.sampled_from([0, 0, 1, SECOND, 30 * SECOND, GRACE, HOUR, 7 * HOUR, DAY, DAY, 3 * DAY, 20 * DAY, 95 * DAY])
lateness = st.sampled_from([0, 0, 0, 0, 1, GRACE, 2 * HOUR, DAY, 5 * DAY, 91 * DAY, 93 * DAY, 400 * DAY, -HOUR])
times = st.integers(-40, 40).map(lambda half_days: format_ms(START + half_days * DAY // 2))
trait_values = st.none() | st.sampled_from([0, 1, 2.5, 99, "team", "free", True, ["vip"], 10**18, 1e300])
billing = st.sampled_from(["subscription_started", "subscription_cancelled", "plan_changed"])


@st.composite
def tracked(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(events)
    properties = {"team": draw(teams), "rows": draw(rows), "source": draw(st.sampled_from(["api", "web"]))}
    if name == "page":
        return {"type": "page", "properties": properties}
    return {"type": "track", "event": name, "properties": properties}


@st.composite
def told(draw: st.DrawFn) -> dict[str, Any]:
    """A call that brings facts: traits, billing, answers, or nothing."""
    kind = draw(st.sampled_from(["traits", "dates", "usage", "billing", "billing", "answer", "identify", "alias"]))
    if kind == "traits":
        return {"type": "group", "traits": draw(st.dictionaries(st.sampled_from(["plan", "mrr", "n"]), trait_values))}
    if kind == "dates":
        dates = st.dictionaries(st.sampled_from(["createdAt", "trialEndsAt", "renewsAt"]), times | st.none())
        return {"type": "group", "traits": draw(dates)}
    if kind == "usage":
        amounts = st.dictionaries(st.sampled_from(["api", "seats"]), st.sampled_from([0, 5, 10, 9.5, "x", None]))
        return {"type": "group", "traits": {"usage": draw(amounts), "limits": draw(amounts)}}
    if kind == "billing":
        properties = draw(st.dictionaries(st.sampled_from(["plan", "mrr"]), trait_values))
        return {"type": "track", "event": draw(billing), "properties": properties}
    if kind == "answer":
        score = draw(st.sampled_from([0, 6, 7, 9, 10, 8.5, 11, "10", None]))
        return {"type": "track", "event": "nps_answered", "properties": {"score": score}}
    return {"type": kind}


@st.composite
def logs(draw: st.DrawFn, *, accounts: tuple[str, ...] = ACCOUNTS, min_size: int = 1, max_size: int = 30) -> list[Sent]:
    """Records in arrival order, each with an id of its own."""
    arrival = START + draw(st.sampled_from([0, 11 * HOUR, 12 * HOUR, -1]))
    sent: list[Sent] = []
    for place in range(draw(st.integers(min_size, max_size))):
        arrival += draw(advances)
        fields = draw(tracked() | tracked() | told())
        user = draw(users)
        stamped = {"messageId": f"m{place}", "timestamp": format_ms(arrival - draw(lateness))}
        fields |= stamped if user is None else stamped | {"userId": user}
        sent.append(Sent(draw(st.sampled_from(accounts)), fields, arrival))
    return sent


# Rules of every kind over the events above, with waits, groups and memberships of each other.
RULES: Final = catalog_of(
    {"id": "busy", "when": 'count("*", days=3) >= 2', "min_dwell_days": 2},
    {"id": "fresh", "when": "stage == 'trial' and since(signed_up_at) < 4"},
    {"id": "ending", "when": "stage == 'trial' and until(trial_ends_at) <= 3"},
    {"id": "hot", "group": "mood", "when": "score(days=2) >= 3", "exit_when": "score(days=3) < 2"},
    {"id": "torn", "group": "mood", "when": 'count("share", days=4) >= 1', "cooldown_days": 1.5},
    {"id": "calm", "group": "mood", "when": "since(last_active_at) >= 1", "min_dwell_days": 0.5},
    {"id": "paying", "when": "stage == 'customer'", "cooldown_days": 3},
    {"id": "keen", "when": 'member("hot") and not member("paying")'},
    {"id": "spread", "when": "active_users(days=7) >= 2 or teams(days=7) >= 2 or core_features(days=14) >= 2"},
    {"id": "pair", "when": 'sequence("run", "share", within_days=2, days=5)'},
    {"id": "alone", "when": 'without("run", "share", within_days=1)'},
    {"id": "bent", "when": "abs(since(last_active_at) - 2) < 0.5 or 2 * since(signed_up_at) < until(trial_ends_at)"},
    {"id": "happy", "group": "nps", "when": "nps >= 9"},
    {"id": "sad", "group": "nps", "when": "nps < 7"},
    {"id": "full", "when": "usage_ratio >= 0.9", "exit_when": "default(usage_ratio, 0) < 0.6"},
    {"id": "rich", "when": "mrr >= 50 or trait('n') == 2.5"},
    {"id": "due", "when": "since(time(trait('renewsAt'))) > 1"},
    {"id": "rested", "when": "score(days=7, before=7) > score(days=7)", "cooldown_days": 2, "min_dwell_days": 1},
    {"id": "valued", "when": "since(first_value_at) <= 10 or activation_rate > 0.4"},
    {"id": "large", "when": 'measure("rows_sum", days=3) >= 100 or measure("rows_last", days=7) < 0'},
    {"id": "big", "when": 'count("big_run", days=7) >= 2 or sequence("big_run", "run", within_days=1, days=3)'},
    trial_days=7,
    events={
        "big_run": {"event": "run", "where": 'property("rows") >= 2'},
        "api_share": {"event": "share", "where": 'property("source") == "api"'},
    },
    measures={
        f"rows_{aggregate}": {"event": "run", "property": "rows", "aggregate": aggregate}
        for aggregate in ("sum", "max", "min", "last", "unique")
    },
    weights={"run": 2, "big_run": 5, "rare": "0.125", "share": 0.1},
    core_features=["run", "rare", "page", "api_share"],
    checklist=[{"event": "run", "count": 2}, {"event": "share"}, {"event": "subscription_started"}],
    value_event="share",
    definitions={"load": 'count("run", days=30) * 2 + count("support_ticket_opened", days=92)'},
)
