"""Which account an event belongs to.

Theory of operation. The account is, in this order,

1. `groupId` of a group call (other calls have it in their context, after the Segment spec),
2. `context.groupId`,
3. the value at a configured path, such as `properties.workspace_id`,
4. the account that the user is known to belong to: `userId`, else `anonymousId`, and on an alias call `previousId`.

The first that is a non-empty text counts; a value of the wrong type is unknown. If none is, or if it is too long to
be a key, the event is refused with the reason.

What is known of users is learned from group calls whose account is stated (1 to 3): they tie `userId` and
`anonymousId` to the account, and a later group call moves them. An alias call hands `previousId`'s account on to a
`userId` that has none. Nothing else teaches: an event with an account of its own says where it happened, not where
its user belongs. User ids and anonymous ids share one name space, as they do in the engine.

Knowledge is per input partition, in log order. It finds a user's account where producers key their records by user
(as Segment and RudderStack do), because then all records of a user meet in one partition.

`LearnedUsers` holds at most `LEARNED_USERS_MAX` users; the least recently seen goes first and is counted. Every
change is kept for the changelog until it is taken; learning what is known changes nothing.

This module is pure: the worker and the replay of files use the same objects.
"""

from collections import OrderedDict
from enum import StrEnum
from typing import Any, Final, TypeAlias

from schemas.dead_letter import Rejected, RejectReason
from schemas.wire_event import WireEvent
from streams.limits import ACCOUNT_ID_CHARS_MAX, LEARNED_USERS_MAX, USER_ID_CHARS_MAX

PATH_ROOTS: Final = ("properties", "context", "traits")

RESERVED_PREFIX: Final = "\0"
"""Keys of the changelog that begin so are no users."""

Path: TypeAlias = tuple[str, ...]


class Via(StrEnum):
    """How an event found its account."""

    GROUP_CALL = "group_call"
    CONTEXT = "context"
    PROPERTY = "property"
    USER = "user"


def account_path(text: str) -> Path:
    """The path of a setting such as `properties.workspace_id`; raises ValueError."""
    path = tuple(text.split("."))
    if len(path) < 2 or "" in path or path[0] not in PATH_ROOTS:
        raise ValueError(f"{text!r} does not begin with one of {', '.join(f'{root}.' for root in PATH_ROOTS)}")
    return path


def stated_account(event: WireEvent, path: Path | None = None) -> tuple[str, Via] | None:
    """The account that the event itself names."""
    if event.groupId is not None and event.type == "group":
        return event.groupId, Via.GROUP_CALL
    account = event.context.get("groupId")
    if account.__class__ is str and account:
        return account, Via.CONTEXT
    if path is not None:
        account = _at(event, path)
        if isinstance(account, str) and account:
            return account, Via.PROPERTY
    return None


def _at(event: WireEvent, path: Path) -> Any:
    value: Any = getattr(event, path[0])
    for name in path[1:]:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


class LearnedUsers:
    """User id to account id, bounded, with the changes that are still to be written."""

    def __init__(self, users_max: int = LEARNED_USERS_MAX) -> None:
        self._accounts: OrderedDict[str, str] = OrderedDict()
        self._users_max = users_max
        self._changes: dict[str, str | None] = {}
        self.evicted = 0
        self.stored_bytes = 0
        """Of all rows."""

    def __len__(self) -> int:
        return len(self._accounts)

    def account_of(self, user: str | None) -> str | None:
        """The account, if known; the user has now been seen."""
        if user is None or user not in self._accounts:
            return None
        self._accounts.move_to_end(user)
        return self._accounts[user]

    def learn(self, user: str | None, account: str) -> None:
        """Know from now on that the user belongs to the account; not if the id cannot be a key of the changelog."""
        if user is None or len(user) > USER_ID_CHARS_MAX or user.startswith(RESERVED_PREFIX):
            return
        known = self._accounts.get(user)
        if known != account:
            self._changes[user] = account
            self.stored_bytes += _row_bytes(user, account) - _row_bytes(user, known)
        self._accounts[user] = account
        self._accounts.move_to_end(user)
        self._evict()

    def restore(self, user: str, account: str | None) -> None:
        """Take a row of the changelog; None: forgotten."""
        self.stored_bytes += _row_bytes(user, account) - _row_bytes(user, self._accounts.get(user))
        if account is None:
            self._accounts.pop(user, None)
            return
        self._accounts[user] = account
        self._accounts.move_to_end(user)
        self._evict()

    def take_changes(self) -> dict[str, str | None]:
        """The changes since the last call, by user; None: forgotten."""
        changes, self._changes = self._changes, {}
        return changes

    @property
    def changed(self) -> bool:
        return bool(self._changes)

    def _evict(self) -> None:
        while len(self._accounts) > self._users_max:
            user, account = self._accounts.popitem(last=False)
            self._changes[user] = None
            self.evicted += 1
            self.stored_bytes -= _row_bytes(user, account)


def _row_bytes(user: str, account: str | None) -> int:
    return 0 if account is None else len(user.encode()) + len(account.encode())


class Identity:
    """Resolves the events of one partition, or of one run over files, in log order, and learns on the way."""

    def __init__(self, path: Path | None = None, *, learns: bool = True, users: LearnedUsers | None = None) -> None:
        self._path = path
        self._learns = learns
        self.users = LearnedUsers() if users is None else users
        self.resolved: dict[Via, int] = dict.fromkeys(Via, 0)

    def take(self, event: WireEvent) -> str:
        """The event's account. What the event teaches is known afterwards. Raises `Rejected`."""
        stated = stated_account(event, self._path)
        if stated is None:
            account, via = self._account_of_user(event), Via.USER
        else:
            account, via = stated
        if len(account) > ACCOUNT_ID_CHARS_MAX:
            raise Rejected(
                RejectReason.ACCOUNT_TOO_LONG,
                f"an account id of {len(account)} characters ({via}); at most {ACCOUNT_ID_CHARS_MAX}",
            )
        self.resolved[via] += 1
        if self._learns:
            self._learn(event, account, via)
        return account

    def _account_of_user(self, event: WireEvent) -> str:
        if self._learns:
            users = self.users
            account = users.account_of(event.userId) or users.account_of(event.anonymousId)
            if account is None and event.type == "alias":
                account = users.account_of(event.previousId)
            if account is not None:
                return account
        raise Rejected(RejectReason.MISSING_ACCOUNT, self._why_missing(event))

    def _learn(self, event: WireEvent, account: str, via: Via) -> None:
        if event.type == "group" and via is not Via.USER:
            self.users.learn(event.userId, account)
            self.users.learn(event.anonymousId, account)
        elif event.type == "alias" and event.userId is not None and self.users.account_of(event.userId) is None:
            previous = self.users.account_of(event.previousId)
            if previous is not None:
                self.users.learn(event.userId, previous)

    def _why_missing(self, event: WireEvent) -> str:
        places = ["groupId"] if event.type == "group" else []
        places += ["context.groupId"] + ([".".join(self._path)] if self._path else [])
        nowhere = f"no account in {', '.join(places)}"
        if event.userId is None and event.anonymousId is None:
            return f"{nowhere}, and no userId or anonymousId"
        return f"{nowhere}, and no group call told the user's" if self._learns else nowhere
