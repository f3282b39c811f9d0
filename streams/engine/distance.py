"""How far a condition is from turning: what records would have to bring, in numbers and in words.

A comparison of what records change tells how much is missing between what was seen and what is asked. Ages and windows
turn by themselves, at a moment that is given. `and`, `or` and `not` put these together into one sentence. What nothing
can turn any more (an account cannot sign up anew) has none: None.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from streams.engine.calendar import DAY_MS
from streams.engine.rules.expression import Kind, Node, Op
from streams.engine.working import Working

WAYS_MAX: Final = 6  # alternatives and needs that one sentence lists
JUNCTIONS: Final = (Op.AND, Op.OR, Op.NOT)

_OPPOSITE: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_SWAPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_WORDS: Final = {">": "above", ">=": "at least", "<": "below", "<=": "at most", "==": "exactly", "!=": "other than"}
# Whole numbers, by the things that they count.
_COUNTED: Final = {
    "count": "", "active_days": "active days", "active_users": "active users", "core_features": "core features",
    "teams": "teams",
}  # fmt: skip
# Readings that no record lowers: they fall, if at all, when days leave their window.
_GROWING: Final = frozenset({*_COUNTED, "score", "activation_rate"})
_STAGE_EVENTS: Final = {"customer": "subscription_started", "cancelled": "subscription_cancelled"}


@dataclass(frozen=True, slots=True)
class Missing:
    """How far a reading is from where its comparison turns. `amount` is negative if it would have to fall."""

    reading: str
    have: float
    need: float
    amount: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of a rule's nodes, by their texts."""

    values: dict[str, Any]
    holds: dict[str, bool]
    turns_at: dict[str, int]
    now: int
    working: Working


def change_of(node: Node, seen: Seen, *, wanted: bool) -> str | None:
    """What would make a condition hold, or not hold, that is not so now; None if nothing that can be told would."""
    if node.op is Op.NOT:
        return change_of(node.args[0], seen, wanted=not wanted)
    if node.op not in JUNCTIONS:
        return _leaf_change(node, seen, wanted=wanted)
    pending = [arg for arg in node.args if seen.holds[arg.text] is not wanted]
    every = (node.op is Op.AND) is wanted
    ways = [change_of(arg, seen, wanted=wanted) for arg in pending]
    told = list(dict.fromkeys(way for way in ways if way is not None))
    if not told or (every and None in ways):
        return None
    shown = (f"({way})" if every and len(told) > 1 and " or " in way else way for way in told[:WAYS_MAX])
    word = " and " if every else " or "
    return word.join(shown) + (f"{word}{len(told) - WAYS_MAX} other changes" if len(told) > WAYS_MAX else "")


def _leaf_change(node: Node, seen: Seen, *, wanted: bool) -> str | None:
    by_records = _by_records(node, seen, wanted=wanted)
    turns_at = seen.turns_at.get(node.text)
    if turns_at is None:
        return by_records
    by_itself = f"{_in_words(turns_at - seen.now)} by itself"
    return by_itself if by_records is None else f"{by_records} or {by_itself}"


def _by_records(node: Node, seen: Seen, *, wanted: bool) -> str | None:
    if node.op is Op.COMPARE:
        if any(arg.linear for arg in node.args):
            return _renewal(node, wanted=wanted)
        if any(arg.op is Op.TERM and arg.value.name == "threshold" for arg in node.args):
            return _rank_words(node, seen, wanted=wanted)
    if node.op in (Op.COMPARE, Op.IN) and node.args[0].op is Op.TERM and node.args[0].value.name == "stage":
        return _stage_words(node, seen, wanted=wanted)
    if node.op is Op.COMPARE and node.args[0].kind is not Kind.TEXT and node.args[1].kind is not Kind.TEXT:
        return _number_words(node, seen, wanted=wanted)
    if node.op is Op.CONST:
        return None
    if node.op is Op.TERM and node.value.name == "activated":
        return _checklist_words(seen.working) if wanted else None
    if node.op is Op.TERM and node.value.name == "member":
        return f"{'entering' if wanted else 'leaving'} {node.value.event}"
    return f"{node.text} {'becoming true' if wanted else 'no longer true'}"


def _renewal(node: Node, *, wanted: bool) -> str | None:
    """Of ages records can only renew what is last: the age of other times is what it is."""
    left, right = node.args
    symbol: str = node.value if wanted else _OPPOSITE[node.value]
    if right.linear:
        left, right, symbol = right, left, _SWAPPED[symbol]
    if left.op is not Op.SINCE or right.linear or symbol not in ("<", "<="):
        return None
    term = left.args[0].value
    match left.args[0].op, term.name if left.args[0].op is Op.TERM else "":
        case Op.TERM, "last_active_at":
            return "any activity"
        case Op.TERM, "last":
            return f"another {term.event}"
        case _:
            return None


def _stage_words(node: Node, seen: Seen, *, wanted: bool) -> str | None:
    """The events that bring about one of the stages asked for; a trial begins and ends by its dates."""
    named = {arg.value for arg in node.args[1:]}
    negated = bool(node.value) if node.op is Op.IN else node.value == "!="
    stage = seen.values.get("stage")
    events = [event for to, event in _STAGE_EVENTS.items() if ((to in named) is not negated) is wanted and to != stage]
    return " or ".join(events) or None


def _rank_words(node: Node, seen: Seen, *, wanted: bool) -> str:
    missing = missing_of(node, seen, wanted=wanted)
    if missing is None:
        return "new percentiles of all accounts"
    return f"{_phrase(missing, '>=' if wanted else '<')} or new percentiles of all accounts"


def _number_words(node: Node, seen: Seen, *, wanted: bool) -> str | None:
    reading, asked, symbol = _comparison(node, wanted=wanted)
    missing = missing_of(node, seen, wanted=wanted)
    if missing is None:
        need = _number(asked, seen)
        return None if need is None else f"{reading.text} {_WORDS[symbol]} {need:g} (now unknown)"
    if reading.op is Op.TERM and reading.value.name in _GROWING and symbol in ("<", "<="):
        return None
    if reading.op is not Op.TERM:
        return _phrase(missing, symbol)
    counted = reading.value.name in _COUNTED
    later = f" once it is {reading.value.before} days old" if reading.value.before else ""
    return (_counted_words(missing, reading) if counted else _phrase(missing, symbol)) + later


def _phrase(missing: Missing, symbol: str) -> str:
    if symbol in ("<", ">"):
        return f"{missing.reading} {_WORDS[symbol]} {missing.need:g} (now {missing.have:g})"
    return (
        f"{missing.reading} {abs(missing.amount):g} {'more' if missing.amount > 0 else 'less'} "
        f"(now {missing.have:g} of {missing.need:g})"
    )


def _counted_words(missing: Missing, reading: Node) -> str:
    term, amount = reading.value, abs(missing.amount)
    things = _COUNTED[term.name] or ("events" if term.event == "*" else term.event)
    if amount == 1 and not (term.name == "count" and term.event != "*"):
        things = things.removesuffix("s")
    window = f" in {term.days} days" if term.days else ""
    return f"{amount:g} more {things}{window} (now {missing.have:g} of {missing.need:g})"


def _checklist_words(working: Working) -> str | None:
    account, missing = working.account, []
    for event, steps in working.program.steps.items():
        for key, needed in steps:
            if key not in account.steps:
                series = account.events.get(event)
                missing.append(f"{needed - (0 if series is None else series.total)} more {event}")
    return " and ".join(missing[:WAYS_MAX]) or None


def missing_of(node: Node, seen: Seen, *, wanted: bool) -> Missing | None:
    """Between a reading that records change and what it is compared with. Ages are no matter of records."""
    if any(arg.linear for arg in node.args):
        return None
    reading, asked, symbol = _comparison(node, wanted=wanted)
    have, need = _number(reading, seen), _number(asked, seen)
    if have is None or need is None or symbol == "!=":
        return None
    if reading.op is Op.TERM and reading.value.name in _COUNTED:
        need = _whole_need(symbol, need)
    return Missing(reading.text, have, round(need, 6), round(need - have, 6))


def _comparison(node: Node, *, wanted: bool) -> tuple[Node, Node, str]:
    """The reading, what it is compared with, and how they are to compare."""
    left, right = node.args
    symbol: str = node.value if wanted else _OPPOSITE[node.value]
    return (right, left, _SWAPPED[symbol]) if left.op is Op.CONST else (left, right, symbol)


def _whole_need(symbol: str, need: float) -> int | float:
    """The nearest whole number that will do."""
    match symbol:
        case ">":
            return math.floor(need) + 1
        case ">=":
            return math.ceil(need)
        case "<":
            return math.ceil(need) - 1
        case "<=":
            return math.floor(need)
        case _:
            return need


def _number(node: Node, seen: Seen) -> float | None:
    value = node.value if node.op is Op.CONST else seen.values.get(node.text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _in_words(length_ms: int) -> str:
    """A length of time as one reads it: days, below two of them hours, below two of these minutes."""
    days = length_ms / DAY_MS
    if days >= 2:
        return f"in {days:.1f} days".replace(".0 ", " ")
    hours = days * 24
    return f"in {hours:.1f} hours".replace(".0 ", " ") if hours >= 2 else f"in {max(1, round(hours * 60))} min"
