"""What the engine found, in the bytes of the wire: transitions and memberships as `schemas` define them.

Theory of operation. `schemas.transition` and `schemas.membership` say what a record is, and read it. Here it is written
without making the objects that they read it as, for there is a transition for every second event. Most of one is the
same for all that lead the same way under the same catalog, and is made once (`Way`); so is a segment's part of a
membership (`Cast`). Of the rest, what one record led to is alike in account, time and trigger (`_Occasion`). Texts of
users, evidence and numbers go through msgspec's encoder, which escapes them. Laws in `tests/laws` hold that every byte
is what that encoder makes of the objects.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final, final
from uuid import UUID

import msgspec

from schemas.timestamps import format_ms_bytes
from schemas.transition import SAME_HEADERS
from streams.engine.account import Account
from streams.engine.found import Forecast, Transition, Trigger
from streams.engine.program import Program
from streams.engine.working import Working

TRANSITION_NAMESPACE: Final = UUID("0b3c5f0e-5d7a-5c1b-9b57-6f0a2a1f7f10")
WAYS_MAX: Final = 1_024
CASTS_MAX: Final = 16

_NAMESPACE_SHA1: Final = hashlib.sha1(TRANSITION_NAMESPACE.bytes, usedforsecurity=False)
_HEX: Final = [b"%02x" % byte for byte in range(256)]
_VERSION_5: Final = [b"%02x" % (byte & 0x0F | 0x50) for byte in range(256)]
_VARIANT: Final = [b"%02x" % (byte & 0x3F | 0x80) for byte in range(256)]
_NUMBERS: Final = [b"%d" % number for number in range(1_000)]
_TRIGGERS: Final = {cause: b'"%b"' % cause.encode() for cause in ("deadline", "thresholds", "catalog", "rebuild")}
_SAME_HEADERS: Final[list[tuple[str, bytes]]] = [*SAME_HEADERS]
_EXITED: Final = b"exited"
_MOVED: Final = b"moved"
_json: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode


@final
class Told:
    """A transition as it is written: the record's value, and what of it stands in the key and headers too.

    `count`: the name under which it is counted.
    """

    __slots__ = ("account_id", "count", "effective_at", "transition_id", "value")

    def __init__(self, account_id: bytes, transition_id: bytes, effective_at: bytes, value: bytes, count: str) -> None:
        self.count = count
        self.account_id = account_id
        self.transition_id = transition_id
        self.effective_at = effective_at
        self.value = value


def emitted(at_ms: int | None) -> bytes:
    """What transitions end with that are written at this moment; None: in a replay."""
    return b'"emitted_at":null}' if at_ms is None else b'"emitted_at":"%b"}' % format_ms_bytes(at_ms)


def told(transition: Transition, ending: bytes) -> Told:
    """The transition as it is written; `ending`: see `emitted`."""
    occasion, way, sequence = _occasion_of(transition), _way_of(transition), _digits(transition.sequence)
    transition_id = _uuid_of(b"%b\n%b%b%b" % (occasion.account_id, sequence, way.name, occasion.at_digits))
    value = b'{"transition_id":"%b","account_id":%b%b%b","sequence":%b%b%b,"trigger":%b%b%b%b' % (
        transition_id,
        occasion.account_json,
        way.led,
        occasion.effective_at,
        sequence,
        way.under,
        _json(transition.evidence),
        occasion.trigger_json,
        _stay(transition.entered_at, transition.effective_at),
        _forecast(transition.forecast),
        ending,
    )
    return Told(occasion.account_id, transition_id, occasion.effective_at, value, way.count)


def transition_headers(transition_id: bytes, effective_at: bytes, account_id: bytes) -> list[tuple[str, bytes]]:
    """The record as a CloudEvent."""
    headers = _SAME_HEADERS.copy()
    headers.append(("ce_id", transition_id))
    headers.append(("ce_time", effective_at))
    headers.append(("ce_subject", account_id))
    return headers


def _uuid_of(name: bytes) -> bytes:
    """UUIDv5 of account, sequence, segment, direction and effective_at: equal on every replay.

    Written out after RFC 9562, section 5.5; the standard library's takes three times as long.
    """
    sha1 = _NAMESPACE_SHA1.copy()
    sha1.update(name)
    found: bytes = sha1.digest()
    return b"%b%b%b%b-%b%b-%b%b-%b%b-%b%b%b%b%b%b" % (
        _HEX[found[0]], _HEX[found[1]], _HEX[found[2]], _HEX[found[3]],
        _HEX[found[4]], _HEX[found[5]],
        _VERSION_5[found[6]], _HEX[found[7]],
        _VARIANT[found[8]], _HEX[found[9]],
        _HEX[found[10]], _HEX[found[11]], _HEX[found[12]], _HEX[found[13]], _HEX[found[14]], _HEX[found[15]],
    )  # fmt: skip


def _digits(number: int) -> bytes:
    return _NUMBERS[number] if 0 <= number < len(_NUMBERS) else str(number).encode()


def _stay(entered_at: int | None, left_at: int) -> bytes:
    if entered_at is None:
        return b',"entered_at":null,"dwell_seconds":null,"forecast":'
    dwell_s = _json((left_at - entered_at) / 1000)
    return b',"entered_at":"%b","dwell_seconds":%b,"forecast":' % (format_ms_bytes(entered_at), dwell_s)


def _forecast(forecast: Forecast | None) -> bytes:
    if forecast is None:
        return b"null,"
    leaves_at = format_ms_bytes(forecast.leaves_at)
    return b'{"leaves_at":"%b","direction":"%b"},' % (leaves_at, _MOVED if forecast.direction == "moved" else _EXITED)


# What transitions share


@final
class _Occasion:
    """Of whom, when and why: the same in all transitions that one record led to."""

    __slots__ = ("account_id", "account_json", "at_digits", "at_ms", "effective_at", "name", "trigger", "trigger_json")

    def __init__(self, name: str, at_ms: int, trigger: Trigger) -> None:
        self.name = name
        self.at_ms = at_ms
        self.trigger = trigger
        self.account_id = name.encode()
        self.account_json = _json(name)
        self.at_digits = str(at_ms).encode()
        self.effective_at = format_ms_bytes(at_ms)
        if isinstance(trigger, str):
            self.trigger_json = _TRIGGERS[trigger]
        else:
            self.trigger_json = b'{"message_id":%b,"type":"%b"}' % (_json(trigger[0]), trigger[1].encode())


_latest: Final = [_Occasion("", 0, "rebuild")]


def _occasion_of(transition: Transition) -> _Occasion:
    occasion = _latest[0]
    if (
        occasion.trigger is transition.trigger
        and occasion.at_ms == transition.effective_at
        and occasion.name == transition.account_id
    ):
        return occasion
    _latest[0] = occasion = _Occasion(transition.account_id, transition.effective_at, transition.trigger)
    return occasion


@final
class Way:
    """What transitions share that lead the same way."""

    __slots__ = ("catalog_version", "count", "direction", "from_segment", "group", "led", "name", "under")

    def __init__(
        self, segment: str, direction: str, group: str | None, from_segment: str | None, catalog_version: str
    ) -> None:
        self.direction = direction
        self.group = group
        self.from_segment = from_segment
        self.catalog_version = catalog_version
        self.count = f"transitions:{segment}:{direction}"
        self.name = f"\n{segment}\n{direction}\n".encode()
        self.led = b',"segment":%b,"direction":%b,"group":%b,"from_segment":%b,"effective_at":"' % (
            _json(segment),
            _json(direction),
            _json(group),
            _json(from_segment),
        )
        self.under = b',"catalog_version":%b,"evidence":' % _json(catalog_version)


@final
class _Ways:
    """The ways so far, by segment; forgotten when they are too many."""

    __slots__ = ("count", "known")

    def __init__(self) -> None:
        self.known: dict[str, list[Way]] = {}
        self.count = 0

    def add(self, segment: str, way: Way) -> None:
        if self.count >= WAYS_MAX:
            self.known.clear()
            self.count = 0
        self.known.setdefault(segment, []).insert(0, way)  # before those of catalogs that were
        self.count += 1


_ways: Final = _Ways()


def _way_of(transition: Transition) -> Way:
    direction, group, from_segment = transition.direction, transition.group, transition.from_segment
    version = transition.catalog_version
    ways = _ways.known.get(transition.segment)
    if ways is not None:
        for way in ways:
            if (
                way.direction == direction
                and way.from_segment == from_segment
                and way.group == group
                and way.catalog_version == version
            ):
                return way
    way = Way(transition.segment, direction, group, from_segment, version)
    _ways.add(transition.segment, way)
    return way


# Memberships


def membership_value(account_id: str, account: Account, working: Working) -> bytes:
    """Where an account stands as of its own clock, as it is written."""
    program, entered_at, as_of = working.program, account.members, format_ms_bytes(account.now)
    cast = _cast_of(program)
    segments: list[bytes] = []
    left = working.members
    while left:
        place = (left & -left).bit_length() - 1
        segments.append(b'%b%b"}' % (cast.places[place], format_ms_bytes(entered_at[program.ids[place]])))
        left &= left - 1
    return b'{"account_id":%b,"as_of":"%b","stage":"%b","sequence":%b,"segments":[%b],"key_numbers":%b%b' % (
        _json(account_id),
        as_of,
        working.stage(account.now).encode(),
        _digits(account.sequence),
        b",".join(segments),
        _key_numbers(account, working, as_of),
        cast.under,
    )


def _key_numbers(account: Account, working: Working, as_of: bytes) -> bytes:
    """What every account has, and the catalog's definitions, which have other names; what is infinite is null."""
    program, last_active_at = working.program, working.last_active_at
    of_every_account = b'{"activation_rate":%b,"last_active_at":"%b","mrr":%b,"nps":%b,"usage_ratio":%b' % (
        _json(working.activation_rate),
        as_of if last_active_at == account.now else format_ms_bytes(last_active_at),
        _number(working.mrr),
        _number(working.nps),
        _number(working.usage_ratio),
    )
    if not program.definition_nodes:
        return of_every_account + b"}"
    defined = _json(program.definitions(account, working, account.now, working.members))
    return b"%b,%b" % (of_every_account, defined[1:])


def _number(number: Any) -> bytes:  # compiled, a float would not be an int
    return b"null" if number is None else _json(number)


@final
class Cast:
    """What memberships share under the same catalog."""

    __slots__ = ("places", "under")

    def __init__(self, program: Program) -> None:
        self.places = [
            b'{"segment":%b,"group":%b,"entered_at":"' % (_json(segment), _json(group))
            for segment, group in zip(program.ids, program.groups, strict=True)
        ]
        self.under = b',"catalog_version":%b}' % _json(program.version)


_casts: Final[dict[str, Cast]] = {}


def _cast_of(program: Program) -> Cast:
    cast = _casts.get(program.version)
    if cast is None:
        if len(_casts) >= CASTS_MAX:
            _casts.clear()
        cast = _casts[program.version] = Cast(program)
    return cast
