"""All that the plan of one destination remembers, and its rows.

Theory of operation. Everything is a row under a key, and nothing else is state: indices are made anew from the rows.
Whatever is changed is noted, and `changes` gives the rows as they are now, or a tombstone; so the plan can be taken up
at any point by whoever has the rows. Every collection has a bound; what does not fit ends with a reason, except that of
accounts the one not heard of for longest is forgotten, if nothing about it waits.

    key         row
    a/ACCOUNT   in which segments it is, when it was told of
    w/SEQ       a message that waits
    g/GROUP     when a group was last told, and how many it will tell as a number
    l/PLAY      when a list is due, and whom the last one had
    x/ID        a silence
    b           what was spent of the day's budget
"""

import heapq
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from streams.notify.plan.budget import Spent
from streams.notify.plan.silence import SILENCES_MAX, Silence
from streams.notify.plan.waiting import Waiting

ACCOUNTS_MAX: Final = 200_000
WAITING_MAX: Final = 50_000
WAITING_PER_ACCOUNT_MAX: Final = 200
GROUPS_MAX: Final = 1_000
LIST_MEMORY_MAX: Final = 1_000
NEVER_MS: Final = 1 << 62


class UnreadablePlanError(ValueError):
    """A row that this version cannot read."""


class Account(msgspec.Struct, array_like=True, gc=False):
    """What is remembered of an account."""

    touched: int = 0
    """Its place in the order in which accounts were last heard of."""
    segments: dict[str, int] = msgspec.field(default_factory=dict)
    """Where it is, and since when."""
    told_segments: dict[str, int] = msgspec.field(default_factory=dict)
    told_plays: dict[str, int] = msgspec.field(default_factory=dict)
    listed: dict[str, int] = msgspec.field(default_factory=dict)
    """By play, the entry for which it counted as told by a list."""
    facts: dict[str, str] = msgspec.field(default_factory=dict)
    """As its last transition had them: for lists, which no transition brings about."""

    @property
    def empty(self) -> bool:
        return not (self.segments or self.told_segments or self.told_plays or self.listed)


class Group(msgspec.Struct, array_like=True, frozen=True, gc=False):
    told_ms: int = 0
    """When it was last told."""
    more: int = 0
    """Messages that the next one tells as a number."""


class Listing(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A list that is due at a time, and the one before."""

    cron: str
    slot_ms: int
    run_ms: int
    """The slot, or later if it lies in quiet hours."""
    last_ms: int | None = None
    last: list[str] = msgspec.field(default_factory=list)


class _Budget(msgspec.Struct, array_like=True):
    day: int
    messages: int


_encode: Final = msgspec.msgpack.Encoder().encode
_TYPES: Final[dict[str, Any]] = {
    "a": Account, "w": Waiting, "g": Group, "l": Listing, "x": Silence, "b": _Budget
}  # fmt: skip
_DECODERS: Final = {kind: msgspec.msgpack.Decoder(row) for kind, row in _TYPES.items()}


class Memory:
    def __init__(self, accounts_max: int = ACCOUNTS_MAX, waiting_max: int = WAITING_MAX) -> None:
        self.accounts: dict[str, Account] = {}
        """The one not heard of for longest first."""
        self.waiting: dict[int, Waiting] = {}
        self.groups: dict[str, Group] = {}
        self.lists: dict[str, Listing] = {}
        self.silences: dict[str, Silence] = {}
        self.spent = Spent()
        self.forgotten = 0
        """Accounts that were forgotten because there were too many."""
        self._accounts_max = accounts_max
        self._waiting_max = waiting_max
        self._next_seq = 1
        self._touches = 0
        self._heap: list[tuple[int, int]] = []
        """Due time and seq; void where the row says otherwise."""
        self._of_account: dict[str, dict[int, None]] = {}
        self._of_group: dict[str, dict[int, None]] = {}
        self._changed: dict[str, None] = {}
        self._unsorted = False

    # -- accounts ------------------------------------------------------------------------------------------------

    def account(self, name: str) -> Account:
        """To be changed: it is written with the next changes."""
        self._in_order()
        found = self.accounts.pop(name, None) or Account()
        self._touches += 1
        found.touched = self._touches
        self.accounts[name] = found
        self._changed[f"a/{name}"] = None
        self._make_room()
        return found

    def seen(self, name: str) -> Account:
        """To be looked at."""
        return self.accounts.get(name) or Account()

    def drop_account(self, name: str) -> None:
        """It has nothing to be remembered."""
        if self.accounts.pop(name, None) is not None:
            self._changed[f"a/{name}"] = None

    def _make_room(self) -> None:
        """Forget the one not heard of for longest; those about which something waits count as heard of now."""
        for _ in range(len(self.accounts)):
            if len(self.accounts) <= self._accounts_max:
                return
            oldest = next(iter(self.accounts))
            if oldest not in self._of_account:
                self.drop_account(oldest)
                self.forgotten += 1
                return
            kept = self.accounts.pop(oldest)
            self._touches += 1
            kept.touched = self._touches
            self.accounts[oldest] = kept
            self._changed[f"a/{oldest}"] = None

    # -- messages that wait ----------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        self._next_seq += 1
        return self._next_seq - 1

    def full(self, account: str) -> bool:
        """Whether nothing more may wait about an account: so much waits about it, or in all."""
        of_account = len(self._of_account.get(account, ()))
        return of_account >= WAITING_PER_ACCOUNT_MAX or len(self.waiting) >= self._waiting_max

    def put(self, row: Waiting) -> None:
        """Let it wait, or wait for something else."""
        self.take_out(row.seq)
        self._index(row)
        self._changed[f"w/{row.seq}"] = None

    def take_out(self, seq: int) -> Waiting | None:
        row = self.waiting.pop(seq, None)
        if row is None:
            return None
        self._changed[f"w/{seq}"] = None
        for index, name in ((self._of_account, row.account), (self._of_group, row.group)):
            seqs = index.get(name)
            if seqs is not None:
                seqs.pop(seq, None)
                if not seqs:
                    del index[name]
        return row

    def due(self, now_ms: int) -> Waiting | None:
        """What has waited long enough, the earliest first; it stays where it is."""
        return self.waiting[self._heap[0][1]] if self.next_ms() <= now_ms else None

    def next_ms(self) -> int:
        while self._heap:
            due_ms, seq = self._heap[0]
            row = self.waiting.get(seq)
            if row is not None and row.due_ms == due_ms:
                return due_ms
            heapq.heappop(self._heap)
        return NEVER_MS

    def of_account(self, name: str) -> Iterator[Waiting]:
        """In the order in which they were taken."""
        return iter([self.waiting[seq] for seq in sorted(self._of_account.get(name, ()))])

    def of_group(self, name: str) -> list[Waiting]:
        """In the order in which they were taken."""
        return [self.waiting[seq] for seq in sorted(self._of_group.get(name, ()))]

    def _index(self, row: Waiting) -> None:
        self.waiting[row.seq] = row
        heapq.heappush(self._heap, (row.due_ms, row.seq))
        self._of_account.setdefault(row.account, {})[row.seq] = None
        if row.group:
            self._of_group.setdefault(row.group, {})[row.seq] = None
        if len(self._heap) > 2 * len(self.waiting) + 1_000:
            self._heap = [(one.due_ms, one.seq) for one in self.waiting.values()]
            heapq.heapify(self._heap)

    # -- the rest ----------------------------------------------------------------------------------------------------

    def set_group(self, name: str, group: Group) -> None:
        """A group that says nothing has no row."""
        if group == Group():
            if self.groups.pop(name, None) is None:
                return
        else:
            self.groups[name] = group
        self._changed[f"g/{name}"] = None

    def groups_full(self, now_ms: int, interval_ms: int) -> bool:
        """Whether there are as many groups as there may be, those not counted that no longer matter."""
        if len(self.groups) < GROUPS_MAX:
            return False
        for name, group in list(self.groups.items()):
            if name not in self._of_group and group.told_ms + interval_ms <= now_ms:
                self.set_group(name, Group())
        return len(self.groups) >= GROUPS_MAX

    def set_list(self, play: str, listing: Listing) -> None:
        self.lists[play] = listing
        self._changed[f"l/{play}"] = None

    def set_spent(self, spent: Spent) -> None:
        self.spent = spent
        self._changed["b"] = None

    def add_silence(self, silence: Silence, now_ms: int) -> bool:
        """False: there are as many as there may be."""
        for name in [one.id for one in self.silences.values() if one.until_ms <= now_ms]:
            self.drop_silence(name)
        if len(self.silences) >= SILENCES_MAX and silence.id not in self.silences:
            return False
        self.silences[silence.id] = silence
        self._changed[f"x/{silence.id}"] = None
        return True

    def drop_silence(self, name: str) -> None:
        if self.silences.pop(name, None) is not None:
            self._changed[f"x/{name}"] = None

    # -- rows --------------------------------------------------------------------------------------------------------

    def changes(self) -> list[tuple[str, bytes | None]]:
        found = [(key, None if (row := self._row(key)) is None else _encode(row)) for key in self._changed]
        self._changed = {}
        return found

    def restore(self, key: str, raw: bytes) -> None:
        """Raises UnreadablePlanError."""
        kind, _, name = key.partition("/")
        try:
            row = _DECODERS[kind].decode(raw)
        except (KeyError, msgspec.DecodeError):
            raise UnreadablePlanError(f"row {key} of the plan cannot be read") from None
        match kind:
            case "a":
                self.accounts[name] = row
                self._touches = max(self._touches, row.touched)
                self._unsorted = True
            case "w":
                self._index(row)
                self._next_seq = max(self._next_seq, row.seq + 1)
            case "b":
                self.spent = Spent(row.day, row.messages)
            case _:
                self._named(kind)[name] = row

    def _row(self, key: str) -> Any:
        kind, _, name = key.partition("/")
        match kind:
            case "a":
                return self.accounts.get(name)
            case "w":
                return self.waiting.get(int(name))
            case "b":
                return _Budget(self.spent.day, self.spent.messages)
            case _:
                return self._named(kind).get(name)

    def _named(self, kind: str) -> dict[str, Any]:
        named: dict[str, dict[str, Any]] = {"g": self.groups, "l": self.lists, "x": self.silences}
        return named[kind]

    def _in_order(self) -> None:
        """Rows come back in any order."""
        if self._unsorted:
            self.accounts = dict(sorted(self.accounts.items(), key=lambda entry: entry[1].touched))
            self._unsorted = False
