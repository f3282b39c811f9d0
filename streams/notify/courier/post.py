"""One destination at its courier: its plan, what is open, its threads, and what an operator has said of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from streams.notify.courier.outbox import First, Outbox, Restored
from streams.notify.courier.rows import (
    Kind,
    OperatorRow,
    SpillRow,
    decode,
    decode_delivery,
    encode,
    key_of,
    order_of,
)
from streams.notify.courier.threads import Threads
from streams.notify.plan.planner import Planner


@dataclass(slots=True)
class Post:
    name: str
    connector: str
    """Type of the destination."""
    planner: Planner
    outbox: Outbox
    threads: Threads
    operator: OperatorRow | None = None
    dropping: set[str] = field(default_factory=set)
    """Given up by an operator while under way: not to be tried again."""
    planned: bool = False
    """The planner may have rows to write."""
    _operator_changed: bool = False

    @property
    def held_after(self) -> int | None:
        return None if self.operator is None else self.operator.held_after

    def command(self, row: OperatorRow) -> None:
        """An operator's word about the destination; the last one counts."""
        self.operator = row
        self._operator_changed = True

    def dirty(self) -> bool:
        return self.planned or self._operator_changed or self.outbox.dirty() or self.threads.dirty()

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Rows to write now."""
        yield from self.outbox.changes()
        yield from self.threads.changes()
        if self.planned:
            for key, row in self.planner.changes():
                yield key_of(Kind.PLAN, self.name, key), row
            self.planned = False
        if self._operator_changed and self.operator is not None:
            gone = self.operator.held_after is None
            yield key_of(Kind.OPERATOR, self.name), None if gone else encode(self.operator)
            self._operator_changed = False


class Rows:
    """One destination's rows while they are read back, in the order of the log; bounded by the outbox's window."""

    def __init__(self, window: int) -> None:
        self._first = First(window)
        self._until: int | None = None
        self._plan: dict[str, bytes] = {}
        self._threads: dict[str, bytes] = {}
        self._operator: bytes | None = None

    def take(self, kind: Kind, rest: str, row: bytes | None) -> None:
        match kind:
            case Kind.DELIVERY:
                if row is None:
                    self._first.remove(rest)
                else:
                    self._first.put(rest, order_of(row), row)
            case Kind.SPILL:
                self._until = None if row is None else decode(row, SpillRow).until
            case Kind.OPERATOR:
                self._operator = row
            case Kind.THREAD:
                _put(self._threads, rest, row)
            case Kind.PLAN:
                _put(self._plan, rest, row)

    def deliveries(self, name: str) -> Restored:
        """What was open."""
        first = self._first
        found = tuple(decode_delivery(name, delivery_id, row) for delivery_id, row in first.rows())
        return Restored(found, first.last_order, first.evicted_from, first.evicted, self._until)

    def into(self, post: Post) -> None:
        """Give a post what it had."""
        for key, row in self._plan.items():
            post.planner.restore(key, row)
        for account, row in self._threads.items():
            post.threads.restore(account, row)
        post.outbox.restore(self.deliveries(post.name))
        if self._operator is not None:
            post.operator = decode(self._operator, OperatorRow)
            post.outbox.reserve((post.operator.held_after or 0) + 1)

    def orphans(self, name: str) -> Iterator[bytes]:
        """Keys of what nobody needs once the destination is gone."""
        yield from (key_of(Kind.PLAN, name, key) for key in self._plan)
        yield from (key_of(Kind.THREAD, name, account) for account in self._threads)
        if self._until is not None:
            yield key_of(Kind.SPILL, name)
        if self._operator is not None:
            yield key_of(Kind.OPERATOR, name)


def _put(rows: dict[str, bytes], name: str, row: bytes | None) -> None:
    # A row that is rewritten goes to the end: threads are forgotten in the order in which they were last begun.
    rows.pop(name, None)
    if row is not None:
        rows[name] = row
