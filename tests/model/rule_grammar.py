"""Random catalogs: rules from a grammar over the whole vocabulary, with constants that a small log really meets.

Every rule is one that a compiler should take: well typed, windows within the days that are kept, linear in time. Each
production names the terms it needs, so that a caller can leave out what an engine does not know yet. Left out for
good are rules that sit on a rounding error: sums of since and until in which time cancels out.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tests.model.sources import Source, chance, choice, subset, weighted

DAYS = (1, 2, 3, 4, 7, 14)  # the log places records this many days after others
EVENTS = ("run", "share", "invite", "page")
SIGNALS = ("subscription_started", "subscription_cancelled", "plan_changed", "nps_answered", "support_ticket_opened")
NAMED = ("big_run", "api_share")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")
TIMES = (  # the first four come most
    "signed_up_at",
    "trial_ends_at",
    "last_active_at",
    "activated_at",
    "converted_at",
    "cancelled_at",
    "first_value_at",
)
FACTS = ("mrr", "seats", "usage_ratio", "nps", "activation_rate")

SPINE = frozenset(
    {"count", "score", "active_days", "since", "until", "times", "stage", "activated", "nps", "chain", "logic"}
    | {"weights", "checklist", "group", "exit_when", "min_dwell", "cooldown", "disabled"}
)
ALL_TERMS = SPINE | frozenset(
    {"active_users", "core_features", "teams", "measure", "last", "linear", "bends", "facts", "plan", "trait", "none"}
    | {"known", "default", "text", "time", "sequence", "without", "member", "definitions", "named_events", "arithmetic"}
    | {"timezone"}
)
# A billing event that is no signal, too late: the contract leaves room for more than one reading.
EXOTIC = frozenset({"billing_is_activity"})

Production = tuple[int, frozenset[str], Callable[[], str]]


class RuleGrammar:
    """Rules for one catalog; ``members`` are the segments that member() may name without going in circles."""

    def __init__(self, source: Source, terms: frozenset[str]) -> None:
        self._source = source
        self._terms = terms
        # A catalog may ride one kind of condition: the rare ones need company to be met.
        self._favourite = source.integer(0, 999) if chance(source, 40) else None
        self.named: Sequence[str] = ()
        self.measures: Sequence[str] = ()
        self.definitions: Sequence[str] = ()
        self.flags: Sequence[str] = ()
        self.members: Sequence[str] = ()

    def rule(self, depth: int = 2) -> str:
        if depth == 0 or "logic" not in self._terms:
            return self._condition()
        shape = weighted(self._source, [(50, "plain"), (22, "and"), (16, "or"), (12, "not")])
        if shape == "plain":
            return self._condition()
        if shape == "not":
            return f"not ({self.rule(depth - 1)})"
        return f"({self.rule(depth - 1)}) {shape} ({self.rule(depth - 1)})"

    def _pick(self, productions: Sequence[Production]) -> str:
        allowed = [(weight, make) for weight, needs, make in productions if needs <= self._terms]
        return weighted(self._source, allowed)()

    def _condition(self) -> str:
        productions: list[Production] = [
            (24, frozenset({"count"}), self._window_against_number),
            (12, frozenset({"count", "score"}), self._window_against_window),
            (20, frozenset({"since"}), self._age_against_number),
            (6, frozenset({"since", "chain"}), self._age_between),
            (10, frozenset({"linear"}), self._lines_against_each_other),
            (6, frozenset({"bends"}), self._bent_lines),
            (8, frozenset({"stage"}), self._stage),
            (6, frozenset({"activated"}), self._activated),
            (4, frozenset({"nps"}), lambda: f"nps {self._op()} {choice(self._source, (7, 8.5, 9))}"),
            (8, frozenset({"facts"}), self._fact),
            (4, frozenset({"facts", "arithmetic"}), self._calculation),
            (6, frozenset({"plan"}), self._plan),
            (5, frozenset({"trait"}), self._trait),
            (4, frozenset({"none"}), self._none),
            (4, frozenset({"known"}), self._known),
            (4, frozenset({"default", "facts"}), self._default),
            (4, frozenset({"text", "trait", "plan"}), self._text),
            (5, frozenset({"time", "trait", "until"}), self._trait_time),
            (10, frozenset({"sequence"}), self._sequence),
            (6, frozenset({"without"}), self._without),
            (
                8 if self.members else 0,
                frozenset({"member"}),
                lambda: f'member("{choice(self._source, self.members)}")',
            ),
            (5 if self.definitions else 0, frozenset({"definitions"}), self._definition),
            (3 if self.flags else 0, frozenset({"definitions"}), lambda: choice(self._source, self.flags)),
            (1, frozenset(), lambda: "True"),
        ]
        if self._favourite is not None:
            place = self._favourite % len(productions)
            weight, needs, make = productions[place]
            productions[place] = (20 * weight, needs, make)
        return self._pick(productions)

    def enter_and_leave(self) -> dict[str, str]:
        """A rule with the exit that belongs to it, and a gap between the two."""
        term, high = self._window(), choice(self._source, (1, 2, 3, 4))
        low = max(0, high - choice(self._source, (0, 1, 2)))
        return {"when": f"{term} >= {high}", "exit_when": f"{term} <= {low}"}

    # --- parts ---

    def _op(self) -> str:
        return choice(self._source, (">=", "<", ">", "<=", ">=", "<", ">", "<=", "==", "!="))

    def _day_number(self) -> str:
        return str(weighted(self._source, [(10, choice(self._source, DAYS)), (2, 0), (2, 0.5), (2, 2.5), (1, 30)]))

    def event(self) -> str:
        return choice(self._source, [*EVENTS[:3], *EVENTS, *SIGNALS[:1], *SIGNALS[3:], *self.named, *self.named])

    def time_value(self) -> str:
        productions: list[Production] = [
            (10, frozenset({"times"}), lambda: choice(self._source, TIMES[:4])),
            (5, frozenset({"times"}), lambda: choice(self._source, TIMES)),
            (6, frozenset({"last"}), lambda: f'last("{self.event()}")'),
            (2, frozenset({"default", "last"}), lambda: f'default(last("{self.event()}"), signed_up_at)'),
        ]
        return self._pick(productions)

    def _age(self) -> str:
        terms = [term for term in ("since", "until") if term in self._terms]
        return f"{choice(self._source, terms)}({self.time_value()})"

    def _span(self, before: int | None = None) -> str:
        days = choice(self._source, DAYS)
        shift = before if before is not None else weighted(self._source, [(7, 0), (2, days), (1, 1)])
        return f"days={days}" + (f", before={shift}" if shift else "")

    def _window(self) -> str:
        windowed = ("active_users", "core_features", "teams")
        productions: list[Production] = [
            (5, frozenset({"count"}), lambda: f'count("{self.event()}", {self._span()})'),
            (3, frozenset({"count"}), lambda: f'count("*", {self._span()})'),
            (2, frozenset({"count"}), lambda: f'count("{choice(self._source, [self.event(), "*"])}")'),
            (5, frozenset({"score"}), lambda: f"score({self._span()})"),
            (2, frozenset({"active_days"}), lambda: f"active_days({self._span(0)})"),
            *((2, frozenset({term}), lambda term=term: f"{term}({self._span(0)})") for term in windowed),
            (4 if self.measures else 0, frozenset({"measure"}), self._measure),
        ]
        return self._pick(productions)

    def _measure(self) -> str:
        return f'measure("{choice(self._source, self.measures)}", {self._span()})'

    # --- conditions ---

    def _window_against_number(self) -> str:
        return f"{self._window()} {self._op()} {choice(self._source, (0, 1, 1, 2, 2, 3, 4, 0.5, 2.5))}"

    def _window_against_window(self) -> str:
        days = choice(self._source, DAYS)
        factor = choice(self._source, (0.5, 1, 1.2, 1.5, 2, 0.1))
        term = choice(self._source, ("score(", "score(", 'count("*", ', f'count("{self.event()}", '))
        return f"{term}days={days}) {self._op()} {factor} * {term}days={days}, before={days})"

    def _age_against_number(self) -> str:
        if chance(self._source, 15):
            return f"{self._day_number()} {self._op()} {self._age()}"
        sign = "-" if chance(self._source, 10) else ""
        return f"{self._age()} {self._op()} {sign}{self._day_number()}"

    def _age_between(self) -> str:
        low = choice(self._source, (0, 1, 2, 3))
        ops = choice(self._source, (("<=", "<"), ("<", "<="), ("<=", "<="), ("<", "<")))
        return f"{low} {ops[0]} {self._age()} {ops[1]} {low + choice(self._source, DAYS)}"

    def _lines_against_each_other(self) -> str:
        since, until = f"since({self.time_value()})", f"until({self.time_value()})"
        factor = choice(self._source, (2, 3, 0.5, 0.1))
        left, right = choice(
            self._source,
            (
                (since, f"since({self.time_value()})"),
                (since, until),
                (since, f"{factor} * since({self.time_value()})"),
                (f"{factor} * {since}", f"{until} + {self._day_number()}"),
                (f"{since} - {self._day_number()}", f"{factor} * since({self.time_value()})"),
                (f"{since} / 2", f"{until} / 3 - 1"),
                (since, self._window()),
                (f"{until} + 1", f"{self._window()} * 0.5"),
                (f"-{since}", f"-{self._window()} - 0.25"),
            ),
        )
        return f"{left} {self._op()} {right}"

    def _bent_lines(self) -> str:
        since, until = f"since({self.time_value()})", f"until({self.time_value()})"
        bent = choice(
            self._source,
            (
                f"abs({since} - {self._day_number()})",
                f"min({since}, {until})",
                f"max({since}, 2 * {until})",
                f"min({since}, {self._day_number()}, {self._window()})",
                f"max({since}, since({self.time_value()})) - {self._day_number()}",
                f"abs(min({since}, 3) - 2)",
            ),
        )
        return f"{bent} {self._op()} {choice(self._source, (0, 0.25, 0.5, 1, 2, 3))}"

    def _stage(self) -> str:
        stages = ("trial", "customer", "expired", "cancelled")
        some = ", ".join(f'"{stage}"' for stage in subset(self._source, stages, 50) or ["trial", "customer"])
        if chance(self._source, 40):
            return f"stage {choice(self._source, ('in', 'not in'))} ({some},)"
        return f'stage {choice(self._source, ("==", "!="))} "{choice(self._source, stages)}"'

    def _activated(self) -> str:
        rate = f"activation_rate {self._op()} {choice(self._source, (0, 0.5, 1))}"
        return choice(self._source, ("activated", "not activated", rate))

    def _fact(self) -> str:
        bound = choice(self._source, (0, 0.5, 0.8, 1, 5, 10, 50))
        return f"{choice(self._source, FACTS)} {self._op()} {bound}"

    def _calculation(self) -> str:
        sums = (
            "mrr / seats",
            "mrr * 2 - seats",
            "seats + 1",
            "-mrr",
            "round(mrr / 3)",
            "min(mrr, seats)",
            "abs(seats)",
        )
        plain = ("max(1, 2)", 'count("*", days=2) / count("run", days=2)', "round(score(days=3) / 2, 1)")
        return f"{choice(self._source, (*sums, *plain))} {self._op()} {choice(self._source, (-1, 0, 1, 5, 10))}"

    def _plan(self) -> str:
        return choice(
            self._source,
            (
                'plan == "team"',
                'plan != "team"',
                'plan in ("team", "free")',
                'plan not in ("team", "free")',
                'plan > "free"',
            ),
        )

    def _trait(self) -> str:
        return choice(
            self._source,
            (
                f'trait("n") {self._op()} 2',
                'trait("n") == "two"',
                'trait("n") != "two"',
                'trait("n") in ("two", "three")',
                'trait("n") not in (1, 2)',
                'trait("n") + 1 > 2',
                'trait("industry") == "Software"',
            ),
        )

    def _none(self) -> str:
        unsure = ("plan", "mrr", "nps", "usage_ratio", "activated_at", 'trait("n")', 'last("share")', "first_value_at")
        return f"{choice(self._source, unsure)} {choice(self._source, ('==', '!='))} None"

    def _known(self) -> str:
        unsure = ("plan", "mrr", "seats", "nps", "usage_ratio", "converted_at", 'trait("tags")', 'last("run")')
        return f"known({choice(self._source, unsure)})"

    def _default(self) -> str:
        fallback = choice(self._source, (0, 1, 9))
        return f"default({choice(self._source, FACTS)}, {fallback}) {self._op()} {choice(self._source, (1, 5, 9))}"

    def _text(self) -> str:
        return choice(
            self._source,
            (
                'contains(trait("tags"), "VIP")',
                'contains(plan, "EA")',
                'contains(trait("industry"), "ware")',
                'starts_with(trait("industry"), "soft")',
                'starts_with(plan, "T")',
            ),
        )

    def _trait_time(self) -> str:
        term = choice(self._source, ("since", "until"))
        return f'{term}(time(trait("renewsAt"))) {self._op()} {self._day_number()}'

    def _sequence(self) -> str:
        within = choice(self._source, (0, 1, 2, 3, 0.5))
        first, second = (choice(self._source, ("run", "share", "share", self.event())) for _ in range(2))
        return f'sequence("{first}", "{second}", within_days={within}, days={choice(self._source, DAYS)})'

    def _without(self) -> str:
        return f'without("{self.event()}", "{self.event()}", within_days={choice(self._source, (*DAYS, 0.5))})'

    def _definition(self) -> str:
        return f"{choice(self._source, self.definitions)} {self._op()} {choice(self._source, (0, 1, 2, 4, -3))}"

    def definition(self) -> str:
        """A number by a name."""
        return choice(
            self._source,
            (
                f"{self._window()} * {self._window()}",
                f"{self._window()} + 1",
                f"-since({self.time_value()})",
                f"max(0, 3 - since({self.time_value()}))",
                "default(mrr, 0)",
            ),
        )


# --- catalogs ---


def random_catalog(source: Source, terms: frozenset[str]) -> dict[str, Any]:
    grammar = RuleGrammar(source, terms)
    catalog: dict[str, Any] = {
        "format": 1,
        "name": "scenario",
        "trial_days": choice(source, (14, 1, 2, 3, 7)),
        "timezone": choice(source, ZONES) if "timezone" in terms and chance(source, 20) else "UTC",
        "weights": {},
        "core_features": ["run", *subset(source, ("share", "page", *NAMED[:1]), 50)],
        "signals": list(SIGNALS),
        "value_event": choice(source, ("run", "share", "subscription_started")),
        "checklist": [{"event": "run", "count": 1}],
        "segments": [],
    }
    if chance(source, 10):
        catalog["signals"].append("invite")
    if "billing_is_activity" in terms and chance(source, 50):
        catalog["signals"] = ["support_ticket_opened"]
    _add_named_events(source, terms, catalog, grammar)
    if "weights" in terms and chance(source, 60):
        catalog["weights"] = {name: _weight(source) for name in subset(source, (*EVENTS, *grammar.named), 50)}
    if "checklist" in terms and chance(source, 70):
        steps = [grammar.event() for _ in range(source.integer(0, 3))]
        catalog["checklist"] = [{"event": event, "count": choice(source, (1, 1, 2, 3))} for event in steps]
    if "definitions" in terms and chance(source, 50):
        names = ["depth", "urgency"][: source.integer(1, 2)]
        catalog["definitions"] = {name: grammar.definition() for name in names}
        flag = grammar.rule(1)
        grammar.definitions = names
        if chance(source, 40):
            catalog["definitions"]["flag"] = flag
            grammar.flags = ["flag"]
    catalog["segments"] = _segments(source, terms, grammar)
    return catalog


def _weight(source: Source) -> float:
    return choice(source, (2, 3, 0, 0.5, 0.1, 0.001, 2.125, 10))


def _add_named_events(source: Source, terms: frozenset[str], catalog: dict[str, Any], grammar: RuleGrammar) -> None:
    if "named_events" in terms and chance(source, 50):
        wheres = ('property("rows") >= 100', 'property("deep.size") > 1', 'known(property("rows"))')
        catalog["events"] = {
            "big_run": {"event": "run", "where": choice(source, wheres)},
            "api_share": {"event": "share", "where": 'contains(property("source"), "API")'},
        }
        grammar.named = NAMED
    else:
        catalog["core_features"] = [name for name in catalog["core_features"] if name not in NAMED]
    if "measure" in terms and chance(source, 50):
        event = choice(source, ("run", *grammar.named[:1]))
        catalog["measures"] = {
            name: {"event": event, "property": "rows", "aggregate": name}
            for name in ("sum", "max", "min", "last", "unique")
        }
        grammar.measures = tuple(catalog["measures"])


def _segments(source: Source, terms: frozenset[str], grammar: RuleGrammar) -> list[dict[str, Any]]:
    """Segments alone and in groups, mixed; a unit may ask for members of the units drawn before it, wherever it
    stands in the end."""
    units: list[list[dict[str, Any]]] = []
    for number in range(source.integer(1, 5)):
        size = source.integer(2, 4) if "group" in terms and chance(source, 55) else 1
        group = f"g{number}" if size > 1 else None
        ids = [f"s{number}_{place}" for place in range(size)]
        units.append([_segment(source, terms, grammar, one, group) for one in ids])
        grammar.members = [*grammar.members, *ids]
    mixed: list[dict[str, Any]] = []
    for unit in units:
        places = sorted(source.integer(0, len(mixed)) for _ in unit)
        for offset, (place, segment) in enumerate(zip(places, unit, strict=True)):
            mixed.insert(place + offset, segment)
    return mixed


def _segment(
    source: Source, terms: frozenset[str], grammar: RuleGrammar, segment_id: str, group: str | None
) -> dict[str, Any]:
    segment: dict[str, Any] = {"id": segment_id, "name": segment_id.upper(), "when": grammar.rule(), "group": group}
    if "exit_when" in terms:
        hysteresis = weighted(source, [(60, "none"), (22, "related"), (18, "any")])
        if hysteresis == "related":
            segment |= grammar.enter_and_leave()
        elif hysteresis == "any":
            segment["exit_when"] = grammar.rule(1)
    if "min_dwell" in terms and chance(source, 30):
        segment["min_dwell_days"] = choice(source, (1, 2, 3, 0.5))
    if "cooldown" in terms and chance(source, 35):
        segment["cooldown_days"] = choice(source, (1, 2, 3, 7, 0.5))
    if "disabled" in terms and chance(source, 5):
        segment["enabled"] = False
    return segment
