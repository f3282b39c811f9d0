"""The state of one account: everything that is remembered, and nothing that can be derived from it.

Times are integer ms UTC, days are day numbers of the catalog's calendar, weights are thousandths. Derived figures
(window sums, stage, membership bits) live in `working.Working` and are rebuilt from here. `codec` stores it: changing
what is kept changes the stored format.

These are plain classes and no msgspec structs because they are read and written several dozen times per event:
compiled, an attribute of theirs is a field of a C structure.
"""

from collections.abc import Mapping
from typing import Any, Final

from librt.vecs import append, vec
from mypy_extensions import i64, mypyc_attr

from streams.engine.days import Days
from streams.engine.message_ids import MessageIds
from streams.engine.rules.linear import NEVER

MINUS_INFINITY: Final = -(1 << 62)
NONE: Final[dict[Any, Any]] = {}
"""What an account has none of: one for all, in which nobody writes (`writable`), for an empty one takes 64 bytes."""


def writable(known: dict[Any, Any]) -> dict[Any, Any]:
    """What is to be held in place of these from now on, for an entry is to be written."""
    return {} if known is NONE else known


@mypyc_attr(acyclic=True)
class EventSeries(Days):  # noqa: PLW1641 - it changes
    """One event name: how often in all, when first and last (greatest t), and how often on each day in reach."""

    __slots__ = ("first", "last", "total")

    def __init__(self, total: int, first: int, last: int, counts: Mapping[int, int] | None = None) -> None:
        super().__init__(counts)
        self.total = total
        self.first = first
        self.last = last

    def count(self, day: i64) -> None:
        """One event on a day."""
        known = len(self.packed)
        self.add(day, 1)
        if len(self.packed) > known and (outdated := self.outdated()) > 0:
            self.drop(outdated)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, EventSeries)
            and (self.total, self.first, self.last) == (other.total, other.first, other.last)
            and self.packed == other.packed
        )


@mypyc_attr(acyclic=True)
class Activity(Days):  # noqa: PLW1641 - it changes
    """Activity by day: how many events, and in `scores`, at the same places, their weights in thousandths."""

    __slots__ = ("scores",)

    scores: vec[i64]

    def __init__(self, counts: Mapping[int, int] | None = None, scores: Mapping[int, int] | None = None) -> None:
        super().__init__(counts)
        self.scores = vec[i64]()
        if counts:
            known = scores or {}
            for day in self.counts():
                self.scores = append(self.scores, known.get(day, 0))

    def count(self, day: i64, weight: i64) -> bool:
        """One event of this weight on a day; whether it is the first on it."""
        known = len(self.packed)
        place = self.add(day, 1)
        if len(self.packed) == known:
            self.scores[place] += weight
            return False
        self.scores = append(self.scores, weight)
        scores = self.scores
        end = i64(known)
        while end > place:
            scores[end] = scores[end - 1]
            end -= 1
        scores[place] = weight
        if (outdated := self.outdated()) > 0:
            self.drop(outdated)
            self.scores = self.scores[outdated:]
        return True

    def by_day(self) -> dict[int, int]:
        """The scores, by day."""
        return dict(zip(self.counts(), self.scores, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activity) and self.packed == other.packed and self.scores == other.scores


@mypyc_attr(acyclic=True)
class MeasureSeries:  # noqa: PLW1641 - it changes
    """One measure of one account: what each day holds, and of a unique count the days of each value, ascending."""

    __slots__ = ("days", "values")

    def __init__(self, days: dict[int, Any] | None = None, values: dict[str, list[int]] | None = None) -> None:
        self.days: dict[int, Any] = {} if days is None else days
        self.values: dict[str, list[int]] = {} if values is None else values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MeasureSeries) and (self.days, self.values) == (other.days, other.values)


@mypyc_attr(acyclic=True)
class Account:  # noqa: PLW1641 - it changes
    """State `S` of the contract's sections 1 and 2."""

    __slots__ = (
        "activity",
        "arrival",
        "cancelled_at",
        "converted_at",
        "events",
        "exits",
        "first_seen",
        "floor",
        "last_active",
        "measures",
        "members",
        "message_ids",
        "next_at",
        "now",
        "nps",
        "operation",
        "ranks",
        "reported_day",
        "reported_sequence",
        "sequence",
        "sequences",
        "steps",
        "teams",
        "tie_cancelled",
        "total",
        "traits",
        "users",
    )

    def __init__(self) -> None:
        self.now: int = MINUS_INFINITY
        self.arrival: int = MINUS_INFINITY
        self.floor: int = MINUS_INFINITY  # the partition's clock when this account was last touched
        self.next_at: int = NEVER  # the next deadline
        self.sequence: int = 0
        self.first_seen: int = NEVER  # smallest t of any applied record
        self.total: int = 0  # activity applied so far
        self.last_active: int | None = None
        self.converted_at: int | None = None
        self.cancelled_at: int | None = None
        self.tie_cancelled: bool = False  # of equal billing times, the later record was the cancellation
        self.traits: dict[str, tuple[int, Any]] = NONE  # key -> (t, value)
        self.events: dict[str, EventSeries] = {}
        self.activity: Activity = Activity()
        self.users: dict[str, int] = NONE  # user -> last active day
        self.teams: dict[str, int] = NONE
        self.nps: dict[str, tuple[int, float]] = NONE  # user -> (t, score)
        self.steps: dict[str, int] = NONE  # checklist step -> done at
        self.sequences: dict[str, int] = NONE  # pair -> greatest t of its second event
        self.measures: dict[str, MeasureSeries] = NONE
        self.message_ids: MessageIds = MessageIds()
        self.reported_day: int = MINUS_INFINITY  # day and sequence of the last membership record
        self.reported_sequence: int = 0
        self.ranks: tuple[int, ...] | None = None  # as of the latest thresholds
        self.members: dict[str, int] = {}  # segment -> entered at
        self.exits: dict[str, int] = {}  # segment -> last exit
        self.operation: int = 0  # the number of the last operation that this account was brought through

    def trait(self, key: str) -> Any:
        found = self.traits.get(key)
        return None if found is None else found[1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account) and all(getattr(self, name) == getattr(other, name) for name in FIELDS)


FIELDS: Final = (
    "now", "arrival", "floor", "next_at", "sequence", "first_seen", "total", "last_active", "converted_at",
    "cancelled_at", "tie_cancelled", "traits", "events", "activity", "users", "teams", "nps", "steps",
    "sequences", "measures", "message_ids", "reported_day", "reported_sequence", "ranks", "members", "exits",
    "operation",
)  # fmt: skip
"""What an account is."""


def fields_of(account: Account) -> dict[str, Any]:
    """All that is known of an account, by name."""
    return {name: getattr(account, name) for name in FIELDS}


def account_of(**fields: Any) -> Account:
    """An account with these fields, the others as of one that no record has reached."""
    account = Account()
    for name, value in fields.items():
        setattr(account, name, value)
    return account
