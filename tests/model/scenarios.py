"""Small, nasty logs with rules to match: what an engine is compared on with the model.

Ten to sixty records, a few accounts, and times that land where it hurts: on midnights, exactly some days after an
earlier record (the constants of the rules), on trial ends, on the edges of the grace, and a millisecond to either
side. Records come late, too late, twice, out of order, ahead of their arrival, without ids, users, accounts or
timestamps, and with values of the wrong type.

``random_scenario(seed)`` is the plain way, ``scenarios()`` the Hypothesis one (it shrinks); both make the same kind of
scenario. ``terms`` leaves out of the rules what an engine does not know yet (see ``rule_grammar``).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.model.catalog import Catalog
from tests.model.records import DAY_MS, format_time, parse_time
from tests.model.rule_grammar import ALL_TERMS, DAYS, EVENTS, random_catalog
from tests.model.sources import Drawn, Seeded, Source, chance, choice, subset, weighted

HOUR_MS = 3_600_000
GRACE_MS = 60_000
# Clocks change at the end of March in Europe and on 10 March in New York.
STARTS = ("2024-03-04T10:00:00Z", "2024-03-27T12:00:00Z", "2024-03-08T00:00:00Z", "2024-02-27T23:59:00Z")
_KINDS = [(60, "track"), (12, "signal"), (16, "group"), (4, "page"), (2, "screen"), (3, "identify"), (3, "alias")]


class Scenario(NamedTuple):
    lines: list[str]
    catalog: dict[str, Any]
    until_ms: int | None


def random_scenario(seed: int, *, terms: frozenset[str] = ALL_TERMS, records: tuple[int, int] = (10, 60)) -> Scenario:
    return _scenario(Seeded(seed), terms, records)


@st.composite
def scenarios(draw: st.DrawFn, *, terms: frozenset[str] = ALL_TERMS, records: tuple[int, int] = (1, 25)) -> Scenario:
    return _scenario(Drawn(draw), terms, records)


def _scenario(source: Source, terms: frozenset[str], records: tuple[int, int]) -> Scenario:
    catalog = random_catalog(source, terms)
    log = _Log(source, catalog)
    lines = [log.line() for _ in range(source.integer(*records))]
    return Scenario(lines, catalog, log.until())


@dataclass
class _Log:
    source: Source
    catalog: dict[str, Any]
    arrival_ms: int = 0
    anchors: list[int] = field(default_factory=list)  # times that something may be counted from
    arrivals: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    calls: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # with an id: arrival, fields but for times
    accounts: Sequence[str] = ()
    events: Sequence[str] = ()
    kind: str = "track"  # of the newest call
    burst: bool = False  # at the time of the one before
    forgotten: dict[str, Any] | None = None  # comes again next

    def __post_init__(self) -> None:
        self.arrival_ms = parse_time(choice(self.source, STARTS)) or 0
        self.anchors.append(self.arrival_ms)
        self.arrivals.append(self.arrival_ms)
        self.accounts = ("acme", "bolt", "Čapek")[: choice(self.source, (1, 1, 2, 3))]
        self.events = choice(self.source, (EVENTS[:2], (*EVENTS[:3], "run", "other"), (*EVENTS[:3], "run", "other")))

    # --- times ---

    def _nudge(self) -> int:
        return weighted(self.source, [(5, 0), (2, -1), (3, 1)])

    def _midnight_after(self, at_ms: int) -> int:
        days = Catalog({"timezone": self.catalog["timezone"]})
        return days.day_start(days.day_of(at_ms) + 1)

    def _days_after_an_anchor(self) -> int:
        newest = self.anchors[-12:]
        days = choice(self.source, (*DAYS, *DAYS, 0.5, 2.5, self.catalog["trial_days"]))
        return choice(self.source, newest) + int(days * DAY_MS) + self._nudge()

    def _advance(self) -> None:
        """Lets the arrival clock run; now and then a record arrives out of order."""
        source, now = self.source, self.arrival_ms
        kind = weighted(
            source,
            [(14, "same"), (26, "some"), (16, "midnight"), (26, "anchor"), (6, "grace"), (8, "days"), (4, "back")],
        )
        if kind == "some":
            now += choice(source, (1, 1_000, 30_000, HOUR_MS, 5 * HOUR_MS, 20 * HOUR_MS)) * source.integer(1, 3)
        elif kind == "midnight":
            now = self._midnight_after(now) + self._nudge()
        elif kind == "anchor":
            now = max([now, *(at for at in [self._days_after_an_anchor() for _ in range(3)] if at < now + 9 * DAY_MS)])
        elif kind == "grace":
            now += GRACE_MS + self._nudge()
        elif kind == "days":
            now += choice(source, (DAY_MS, 2 * DAY_MS, 5 * DAY_MS, 24 * DAY_MS, 61 * DAY_MS, 93 * DAY_MS))
        if kind == "back":
            self.arrivals.append(now - choice(source, (1, GRACE_MS, 5 * HOUR_MS, 3 * DAY_MS)))
            return
        self.arrival_ms = now
        self.arrivals.append(now)

    def _event_ms(self, arrival_ms: int) -> int:
        source = self.source
        kind = weighted(
            source,
            [
                (60, "now"),
                (8, "grace"),
                (8, "late"),
                (6, "day edge"),
                (8, "anchor"),
                (6, "again"),
                (4, "too late"),
                (6, "ahead"),
            ],
        )
        if kind == "again":
            return min(arrival_ms, choice(source, self.anchors[-4:]))
        if kind == "grace":
            return arrival_ms - choice(source, (1, 30_000, GRACE_MS - 1, GRACE_MS, GRACE_MS + 1))
        if kind == "late":
            return arrival_ms - choice(source, (HOUR_MS, 5 * HOUR_MS, DAY_MS, 2 * DAY_MS, 3 * DAY_MS, 10 * DAY_MS))
        if kind == "day edge":
            edge = self._midnight_after(arrival_ms - choice(source, (1, 2, 3, 7)) * DAY_MS)
            return min(arrival_ms, edge + choice(source, (-1, 0)))
        if kind == "anchor":
            return min(arrival_ms, self._days_after_an_anchor())
        if kind == "too late":
            return arrival_ms - choice(source, (90, 91, 92, 93, 200)) * DAY_MS - choice(source, (0, 5 * HOUR_MS))
        if kind == "ahead":
            return arrival_ms + choice(source, (1, 240_000, 300_000, 300_001, DAY_MS))
        return arrival_ms

    def _written_time(self, at_ms: int) -> str:
        """The same instant, not always written the same way."""
        form = weighted(self.source, [(80, "plain"), (8, "offset"), (6, "digits"), (6, "small z")])
        if form == "offset":
            return format_time(at_ms + 2 * HOUR_MS)[:-1] + "+02:00"
        if form == "digits":
            return format_time(at_ms)[:-1] + "999Z"
        return format_time(at_ms).replace("Z", "z") if form == "small z" else format_time(at_ms)

    def _stamps(self, arrival_ms: int, event_ms: int) -> dict[str, Any]:
        arrival, event = self._written_time(arrival_ms), self._written_time(event_ms)
        kind = weighted(
            self.source,
            [
                (82, "both"),
                (5, "no arrival"),
                (4, "original"),
                (3, "null"),
                (2, "arrival"),
                (2, "bad"),
                (2, "bad rest"),
            ],
        )
        if kind == "no arrival":
            return {"timestamp": arrival}
        if kind == "original":
            return {"originalTimestamp": event, "receivedAt": arrival}
        if kind == "null":
            return {"timestamp": None, "originalTimestamp": event, "receivedAt": arrival}
        if kind == "arrival":
            return {"receivedAt": arrival}
        if kind == "bad":
            return {
                "timestamp": choice(self.source, ("yesterday", 1709546400000, "2024-03-04T10:00:00")),
                "receivedAt": arrival,
            }
        if kind == "bad rest":
            return {"originalTimestamp": 5, "receivedAt": arrival}
        return {"timestamp": event, "receivedAt": arrival}

    # --- records ---

    def line(self) -> str:
        self._advance()
        if self.written and chance(self.source, 4):
            return choice(self.source, self.written)
        if chance(self.source, 1):
            return choice(
                self.source, ('{"type": "track"', "[]", '{"type": "delete"}', "", '{"type": "track", "event": 7}')
            )
        call = self._next_call()
        arrival_ms = self.arrivals[-1]
        event_ms = self.anchors[-1] if self.burst else self._event_ms(arrival_ms)
        self.anchors.append(min(event_ms, arrival_ms))
        if "messageId" in call:
            self.calls.append((arrival_ms, call))
        line = json.dumps(call | self._stamps(arrival_ms, event_ms), ensure_ascii=chance(self.source, 50))
        self.written.append(line)
        return line

    def _next_call(self) -> dict[str, Any]:
        """A new call, one more of the same kind at the very time, or an old one when its id is about forgotten."""
        self.burst = False
        if self.forgotten is not None:
            call, self.forgotten = self.forgotten, None
            return call
        if self.calls and chance(self.source, 5):
            arrival_ms, self.forgotten = choice(self.source, self.calls[-5:])
            self.arrival_ms = max(self.arrival_ms, arrival_ms + DAY_MS + self._nudge())
            self.arrivals.append(self.arrival_ms)
            place = {key: value for key, value in self.forgotten.items() if key in ("groupId", "context")}
            return {"type": "group", "traits": self._traits()} | place
        if self.written and chance(self.source, 12):
            self.burst = True
            self.arrivals.append(max(self.arrival_ms, self.anchors[-1]))
        else:
            self.kind = weighted(self.source, _KINDS)
        return self._call(self.kind) | self._message_id()

    def _message_id(self) -> dict[str, Any]:
        kind = weighted(self.source, [(84, "new"), (6, "known"), (8, "none"), (2, "odd")])
        if kind == "none":
            return {}
        if kind == "odd":
            return {"messageId": choice(self.source, (None, "", 17))}
        if kind == "new" or not self.ids:
            self.ids.append(f"m{len(self.ids)}")
            return {"messageId": self.ids[-1]}
        return {"messageId": choice(self.source, self.ids)}

    def _user(self) -> dict[str, Any]:
        kind = weighted(self.source, [(72, "known"), (10, "anonymous"), (14, "none"), (4, "odd")])
        if kind == "known":
            return {"userId": choice(self.source, ("u1", "u2", "u3"))}
        if kind == "anonymous":
            return {"anonymousId": choice(self.source, ("n1", "n2"))}
        return {} if kind == "none" else {"userId": choice(self.source, (7, None, ""))}

    def _account(self, kind: str) -> dict[str, Any]:
        account = choice(self.source, self.accounts)
        way = weighted(self.source, [(180, "named"), (10, "learned"), (2, "odd"), (1, "long")])
        if way == "odd":
            return {"context": choice(self.source, ({"groupId": 5}, "acme", None, {"groupId": ""}))}
        if way == "long":
            return {"context": {"groupId": "x" * 256}}
        if way == "learned":
            return {}
        if kind == "group" and chance(self.source, 85):
            return {"groupId": account}
        return {"context": {"groupId": account}}

    def _call(self, kind: str) -> dict[str, Any]:
        call = "track" if kind == "signal" else kind
        fields: dict[str, Any] = {"type": call} | self._user() | self._account(call)
        if kind == "track":
            fields |= {"event": choice(self.source, self.events), "properties": self._properties()}
        elif kind == "signal":
            fields |= self._signal()
        elif kind == "group":
            fields["traits"] = self._traits() if chance(self.source, 95) else choice(self.source, (None, [], "plan"))
        elif kind == "identify":
            fields["traits"] = {"plan": "team", "createdAt": "2020-01-01T00:00:00Z"}
        return fields

    def _properties(self) -> Any:
        if chance(self.source, 3):
            return choice(self.source, (None, [1], "rows"))
        options: list[tuple[str, Sequence[Any]]] = [
            ("rows", (100, 99, 1, 2.5, 250, "many", None, True)),
            ("team", ("red", "blue", "blue", "", 7, None)),
            ("source", ("api", "Web API", "web", 3)),
            ("deep", ({"size": 2}, {"size": 1}, {"size": "2"}, "deep")),
        ]
        return {key: choice(self.source, values) for key, values in subset(self.source, options, 50)}

    def _signal(self) -> dict[str, Any]:
        events = ("subscription_started", "subscription_cancelled", "nps_answered", "plan_changed")
        event = choice(self.source, (*events, *events[:3], "support_ticket_opened"))
        properties: dict[str, Any] = {}
        if event == "nps_answered":
            properties = {"score": choice(self.source, (10, 9, 9, 8, 7, 6, 8.5, 0, 11, -1, "10", True, None))}
        elif event != "support_ticket_opened":
            options = [("plan", ("team", "free", "Tea", None)), ("mrr", (99, 50, 0, 10.5, "much", None))]
            properties = {key: choice(self.source, values) for key, values in subset(self.source, options, 60)}
        return {"event": event, "properties": properties}

    def _traits(self) -> dict[str, Any]:
        moment = [self._written_time(self._days_after_an_anchor()) for _ in range(2)]
        early = format_time(self.anchors[0] - choice(self.source, DAYS) * DAY_MS)
        options: list[tuple[str, Sequence[Any]]] = [
            ("createdAt", (early, early, moment[0], None, "long ago", 5)),
            ("trialEndsAt", (moment[0], moment[1], moment[1], None, "soon", True)),
            ("plan", ("team", "free", "enterprise", None, 3)),
            ("mrr", (99, 50, 0, None, "99")),
            ("seats", (5, 10, 0, 0.5, "many", None)),
            ("usage", ({"api": 80}, {"api": 50, "seats": 9}, {"seats": "9"}, {}, None, 8)),
            ("limits", ({"api": 100}, {"api": 100, "seats": 10}, {"seats": 0}, {"api": None}, None)),
            ("n", (1, 2, 3, "two", "three", None, True, [1], 2.0)),
            ("industry", ("Software", "hardware", "SOFT", None, 9)),
            ("tags", (["vip", "new"], ["VIP "], "a vip", [], None, 4)),
            ("renewsAt", (moment[0], moment[1], "2024-13-01T00:00:00Z", None)),
        ]
        return {key: choice(self.source, values) for key, values in subset(self.source, options, 30)}

    # --- the end ---

    def until(self) -> int | None:
        source = self.source
        kind = weighted(source, [(30, "later"), (20, "none"), (15, "anchor"), (15, "an arrival"), (20, "days")])
        if kind == "none":
            return None
        if kind == "anchor":
            return max(self._days_after_an_anchor() for _ in range(3))
        if kind == "an arrival":
            return choice(source, self.arrivals) + choice(source, (0, 0, -1, GRACE_MS))
        if kind == "days":
            return self._midnight_after(self.arrival_ms) + choice(source, (0, -1, 3 * DAY_MS, 16 * DAY_MS))
        return self.arrival_ms + choice(source, (5, 30, 100)) * DAY_MS
