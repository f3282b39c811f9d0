"""What can be said of a rule without any account: that it always holds, never holds, or follows from another.

Theory of operation. Parts joined by `and` must hold together at one moment, and the same reading, written the same way,
has one value at one moment. So from `and` parts that compare a reading with constants follows an interval of numbers,
or a set of texts, in which the reading must lie; an empty one means that the rule never holds. Some readings bring an
interval of their own: no window of 7 days has 8 active days. Everything else is left open: nothing here guesses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from streams.engine.rules.expression import Node, Op, Term

_INFINITY: Final = float("inf")
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Reach:
    """The values that a reading can have: numbers between bounds, or some texts (None: any)."""

    low: float = -_INFINITY
    above_low: bool = False  # the bound itself is excluded
    high: float = _INFINITY
    below_high: bool = False
    texts: frozenset[Any] | None = None

    @property
    def is_empty(self) -> bool:
        between = self.low < self.high or (self.low == self.high and not (self.above_low or self.below_high))
        return not between or (self.texts is not None and not self.texts)

    def within(self, other: "Reach") -> bool:
        """Whether all of it lies in the other."""
        low = self.low > other.low or (self.low == other.low and (self.above_low or not other.above_low))
        high = self.high < other.high or (self.high == other.high and (self.below_high or not other.below_high))
        texts = other.texts is None or (self.texts is not None and self.texts <= other.texts)
        return low and high and texts

    def and_also(self, other: "Reach") -> "Reach":
        low, above_low = max((self.low, self.above_low), (other.low, other.above_low))
        high, above_high = min((self.high, not self.below_high), (other.high, not other.below_high))
        texts = self.texts if other.texts is None else other.texts if self.texts is None else self.texts & other.texts
        return Reach(low, above_low, high, not above_high, texts)


def always(node: Node) -> bool:
    """Whether it certainly holds for every account at every moment."""
    match node.op:
        case Op.CONST:
            return bool(node.value)
        case Op.NOT:
            return never(node.args[0])
        case Op.AND:
            return all(always(arg) for arg in node.args)
        case Op.OR:
            return any(always(arg) for arg in node.args)
        case _:
            return False


def never(node: Node, core_features: int | None = None) -> bool:
    """Whether it certainly holds for no account at no moment. `core_features`: how many there are."""
    match node.op:
        case Op.CONST:
            return not node.value
        case Op.NOT:
            return always(node.args[0])
        case Op.OR:
            return all(never(arg, core_features) for arg in node.args)
        case _:
            parts = list(_joined(node))
            if node.op is Op.AND and any(never(part, core_features) for part in parts):
                return True
            return any(reach.is_empty for reach in _reaches(parts, core_features).values())


def follows(node: Node, given: Node) -> bool:
    """Whether `node` certainly holds whenever `given` does."""
    if always(node):
        return True
    match node.op:
        case Op.AND:
            return all(follows(arg, given) for arg in node.args)
        case Op.OR:
            return _stands_in(node, given) or any(follows(arg, given) for arg in node.args)
        case _:
            needed = _reach_of(node)
            if needed is None:
                return _stands_in(node, given)
            known = _reaches(list(_joined(given)), None).get(needed[0])
            return _stands_in(node, given) or (known is not None and known.within(needed[1]))


def _stands_in(node: Node, given: Node) -> bool:
    return node.text == given.text or any(node.text == part.text for part in _joined(given))


def _joined(node: Node) -> Iterator[Node]:
    """The parts that must all hold for the node to hold."""
    if node.op is Op.AND:
        for arg in node.args:
            yield from _joined(arg)
    else:
        yield node


def _reaches(parts: list[Node], core_features: int | None) -> Mapping[str, Reach]:
    """Per reading the values that it must have for all the parts to hold."""
    reaches: dict[str, Reach] = {}
    for part in parts:
        found = _reach_of(part)
        if found is not None:
            text, reach = found
            known = reaches.get(text) or _own_reach(part, text, core_features)
            reaches[text] = known.and_also(reach)
    return reaches


def _reach_of(node: Node) -> tuple[str, Reach] | None:
    """The reading that a comparison with constants is about, and the values by which it holds."""
    if node.op is Op.IN and not node.value:
        values = [item.value for item in node.args[1:]]
        texts = all(isinstance(value, str) for value in values)
        return (node.args[0].text, Reach(texts=frozenset(values))) if texts else None
    if node.op is not Op.COMPARE:
        return None
    left, right = node.args
    reading, constant, symbol = (
        (left, right, node.value) if right.op is Op.CONST else (right, left, _MIRRORED[node.value])
    )
    value = constant.value
    if constant.op is not Op.CONST or reading.op is Op.CONST:
        return None
    if isinstance(value, str):
        return (reading.text, Reach(texts=frozenset({value}))) if symbol == "==" else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    reach = {
        "<": Reach(high=value, below_high=True),
        "<=": Reach(high=value),
        ">": Reach(low=value, above_low=True),
        ">=": Reach(low=value),
        "==": Reach(low=value, high=value),
    }.get(symbol)
    return None if reach is None else (reading.text, reach)


def _own_reach(part: Node, text: str, core_features: int | None) -> Reach:
    """What a reading can be at all."""
    reading = next((arg for arg in part.args if arg.text == text), None)
    if reading is None:
        return Reach()
    if reading.op is Op.QUINTILE:
        return Reach(low=0, high=5)
    if reading.op is not Op.TERM:
        return Reach()
    term: Term = reading.value
    match term.name:
        case "count" | "active_users" | "teams":
            return Reach(low=0)
        case "active_days":
            return Reach(low=0, high=term.days)
        case "core_features":
            return replace(Reach(low=0), high=_INFINITY if core_features is None else core_features)
        case "activation_rate":
            return Reach(low=0, high=1)
        case "nps":
            return Reach(low=0, high=10)
        case _:
            return Reach()
