"""What rules look at: one account at one moment, with the members so far.

A decision, what explains it and a forecast each look at an account through a `View`. A forecast moves its own through
time: the windows, the members and since when they are members are then the view's, all else the account's.
"""

from typing import TYPE_CHECKING, Any, Final

from librt.vecs import vec
from mypy_extensions import i64

from streams.engine.rules.vocabulary import STAGES

if TYPE_CHECKING:
    from streams.engine.account import Account
    from streams.engine.working import Working

STANDINGS: Final = 2 * len(STAGES)
_PLACES: Final[dict[str, int]] = {stage: place for place, stage in enumerate(STAGES)}
_UNASKED: Final = -1


class View:
    """`entered` and `exits`: when memberships began and ended. `values`: the numbers of the windows, as of `today`."""

    __slots__ = (
        "_stage", "account", "entered", "exits", "members", "now", "properties", "today", "values", "working",
    )  # fmt: skip

    _stage: i64
    account: "Account"
    entered: dict[str, int]
    exits: dict[str, int]
    members: int
    now: int
    properties: dict[str, Any]
    today: int
    values: vec[i64]
    working: "Working"

    def __init__(self, account: "Account", working: "Working", now: int, members: int) -> None:
        self.account = account
        self.working = working
        self.values = working.values
        self.now = now
        self.today = working.today
        self.members = members
        self.entered = account.members
        self.exits = account.exits
        self._stage = _UNASKED

    def go_to(self, now: int) -> None:
        """Look at another moment; the windows stay as they are."""
        self.now = now
        self._stage = _UNASKED

    def stage(self) -> i64:
        """The stage by its place among all."""
        if self._stage == _UNASKED:
            self._stage = _PLACES[self.working.stage(self.now)]
        return self._stage

    def standing(self) -> i64:
        """Twice the stage, and one more if the account is activated: what decides most, and seldom changes."""
        return 2 * self.stage() + (1 if self.working.activated else 0)


class EventView(View):
    """What the condition of a named event looks at: an event's properties and nothing else."""

    __slots__ = ()

    def __init__(self, properties: dict[str, Any]) -> None:
        self.properties = properties
