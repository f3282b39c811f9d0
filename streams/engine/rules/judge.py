"""What is made of rules: what decides the segments of a stratum, and what values are told by name.

Deciding a stratum is asking each condition in turn; which of them hold is noted in words of `WORD` bits, for what fits
a register costs nothing to set. Most rules ask for the stage, and whether the account is activated: so there are lists
of what is left to ask for each of these standings, where rules that cannot hold do not occur.

With it comes the first moment after now at which a condition may change by itself: comparisons of since() and until()
contribute their exact boundaries, the stage its end of trial, all other comparisons that time changes a computed
crossing (`linear`). Window edges are the caller's: they fall on day starts alike for all.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, final

from librt.vecs import vec
from mypy_extensions import i64

from streams.engine.rules import linear
from streams.engine.rules.conditions import Condition, Settled
from streams.engine.rules.linear import NEVER
from streams.engine.rules.readings import UNKNOWN, Moment, Reading
from streams.engine.rules.values import number
from streams.engine.rules.view import EventView, View

if TYPE_CHECKING:
    from streams.engine.account import Account
    from streams.engine.working import Working

WORD: Final = 60


@final
class Edge:
    """A moment and the ages, ascending, at which some condition of it changes."""

    __slots__ = ("moment", "offsets_ms")

    offsets_ms: vec[i64]

    def __init__(self, moment: Moment, offsets_ms: Iterable[int]) -> None:
        self.moment = moment
        self.offsets_ms = vec[i64](sorted(set(offsets_ms)))

    def next(self, at: View, next_at: i64) -> i64:
        """When it reaches the next of them, if that is before `next_at`."""
        moment = i64(self.moment.moment(at))
        if moment == UNKNOWN:
            return next_at
        offsets_ms, age = self.offsets_ms, i64(at.now) - moment
        for place in range(i64(len(offsets_ms))):
            if age < offsets_ms[place]:
                return min(moment + offsets_ms[place], next_at)
        return next_at


@final
class Flip:
    """A comparison that time changes in no simple way."""

    __slots__ = ("left", "right")

    def __init__(self, left: Reading, right: Reading) -> None:
        self.left = left
        self.right = right

    def next(self, at: View) -> int:
        now = at.now

        def sides(moment: int) -> tuple[Any, Any]:
            at.go_to(moment)
            return self.left.of(at), self.right.of(at)

        found: int = linear.next_flip(now, self.left.line(at), self.right.line(at), sides)
        at.go_to(now)
        return found


@final
class Ruling:
    """A condition and the bit that says that it holds."""

    __slots__ = ("bit", "condition")

    bit: i64

    def __init__(self, condition: Condition, bit: int) -> None:
        self.condition = condition
        self.bit = bit


@final
class Rulings:
    """The conditions of up to `WORD` segments; `settled` are the bits of those that hold whatever is asked."""

    __slots__ = ("asked", "settled")

    settled: i64

    def __init__(self, rulings: Iterable[Ruling], standing: int) -> None:
        """`standing`: of the accounts that are asked, -1 for any."""
        self.asked: list[Ruling] = []
        self.settled = 0
        for ruling in rulings:
            condition = ruling.condition if standing < 0 else ruling.condition.given(standing)
            if not isinstance(condition, Settled):
                self.asked.append(Ruling(condition, ruling.bit))
            elif condition.result:
                self.settled |= ruling.bit

    def holding(self, at: View) -> i64:
        """The bits of those that hold."""
        holding = self.settled
        for ruling in self.asked:
            if ruling.condition.holds(at):
                holding |= ruling.bit
        return holding


@final
class Word:
    """The rules of `WORD` segments from the bit `first` on: when one is a member, and when one leaves."""

    __slots__ = ("exits", "first", "when")

    def __init__(self, first: int, when: Rulings, exits: Rulings) -> None:
        self.first = first
        self.when = when
        self.exits = exits


@final
class Judge:
    """Decides the segments of a stratum.

    `words`: by standing, or of any; `mirrored`: the segments that are left as soon as `when` fails.
    """

    __slots__ = ("edges", "ends_trial", "flips", "mirrored", "words")

    def __init__(
        self, words: list[list[Word]], mirrored: int, edges: list[Edge], flips: list[Flip], *, ends_trial: bool
    ) -> None:
        self.words = words
        self.mirrored = mirrored
        self.edges = edges
        self.flips = flips
        self.ends_trial = ends_trial

    def judge(self, at: View) -> tuple[int, int, int]:
        """The segments whose `when` holds, those whose exit holds, and the next moment at which that may change."""
        when = exits = 0
        for word in self.words[at.standing() if len(self.words) > 1 else 0]:
            holding = word.when.holding(at)
            if holding != 0:
                when |= int(holding) << word.first
            leaving = word.exits.holding(at)
            if leaving != 0:
                exits |= int(leaving) << word.first
        return when, exits | ~when & self.mirrored, self._next(at)

    def _next(self, at: View) -> int:
        next_at: i64 = NEVER
        if self.ends_trial:
            ends_at = at.working.trial_ends_at
            if at.now < ends_at:
                next_at = ends_at
        for edge in self.edges:
            next_at = edge.next(at, next_at)
        for flip in self.flips:
            next_at = min(next_at, i64(flip.next(at)))
        return int(next_at)


class Named:
    """Readings by name."""

    __slots__ = ("_names", "_readings")

    def __init__(self, readings: dict[str, Reading]) -> None:
        self._names = [*readings]
        self._readings = [*readings.values()]

    def __call__(self, account: "Account", working: "Working", now: int, members: int) -> dict[str, Any]:
        return self.values(View(account, working, now, members))

    def values(self, at: View) -> dict[str, Any]:
        names, readings = self._names, self._readings
        return {names[place]: readings[place].of(at) for place in range(len(names))}

    def show(self, at: View, shown: dict[str, Any]) -> None:
        """Add the values as evidence has them."""
        names, readings = self._names, self._readings
        for place in range(len(names)):
            shown[names[place]] = readings[place].shown(at)


@final
class Junction:
    """A rule's outermost `and` or `or`, or a rule that has none: its parts, in order."""

    __slots__ = ("_conditions", "_is_any", "_texts")

    def __init__(self, parts: Sequence[tuple[str, Condition]], *, is_any: bool) -> None:
        """`is_any`: whether the rule holds as soon as one of its parts does."""
        self._texts = [text for text, _ in parts]
        self._conditions = [condition for _, condition in parts]
        self._is_any = is_any

    def failed(self, at: View) -> list[str]:
        """The parts that do not hold, where that makes the rule fail; else none."""
        found = self._which(at, wanted=False)
        return [] if self._is_any and len(found) < len(self._texts) else found

    def held(self, at: View) -> list[str]:
        """The parts that hold, where that makes the rule hold; else none."""
        found = self._which(at, wanted=True)
        return found if self._is_any or len(found) == len(self._texts) else []

    def _which(self, at: View, *, wanted: bool) -> list[str]:
        texts, conditions = self._texts, self._conditions
        return [texts[place] for place in range(len(texts)) if conditions[place].holds(at) == wanted]


@final
class Parts:
    """The outermost parts of a segment's rules."""

    __slots__ = ("exit_when", "when")

    def __init__(self, when: Junction, exit_when: Junction | None) -> None:
        self.when = when
        self.exit_when = exit_when


class Ranked:
    """What an account is ranked by; unknown and infinite values are None."""

    __slots__ = ("_readings",)

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = list(readings)

    def of(self, at: View) -> tuple[Any, ...]:
        return tuple(self.list_of(at))

    def list_of(self, at: View) -> list[Any]:
        return [number(reading.of(at)) for reading in self._readings]


class Where:
    """The condition of a named event."""

    __slots__ = ("_condition",)

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def __call__(self, properties: dict[str, Any]) -> bool:
        return self._condition.holds(EventView(properties))
