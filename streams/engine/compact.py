"""The form in which accounts are stored from version 3 on: numbers of as few bytes as they take, in a fixed order.

Theory of operation. A number is written in groups of seven bits, lowest first, each byte but the last with its high bit
set; what may be negative alternates, 0, -1, 1, -2. Most numbers of an account are moments and days that are close to
each other, so they are written as distances: moments from the account's `now`, days from the day before. A row stands
for itself: names are written out, once each, for a row is read without any catalog.

A day of a series takes a byte where it follows within three days and counts up to 32. A score is written in whole
events' worth where it is. What has a form of its own, traits and measures, is msgpack in one piece.

Reading trusts nothing: numbers have at most 63 bits, lengths at most what is left.
"""

from typing import Any, Final

import msgspec
from librt.strings import BytesWriter, read_i64_be, write_i64_be
from librt.vecs import append, vec
from mypy_extensions import i64, u8

from streams.engine.account import MINUS_INFINITY, Account, Activity, EventSeries, MeasureSeries
from streams.engine.days import COUNT_BITS, COUNT_MAX, DAY_MAX
from streams.engine.message_ids import DIGEST_BYTES, MessageIds
from streams.engine.rules.linear import NEVER
from streams.engine.shared import shared, shared_name

_HAS_LAST_ACTIVE: Final = 1
_HAS_CONVERTED: Final = 2
_HAS_CANCELLED: Final = 4
_TIE_CANCELLED: Final = 8
_HAS_RANKS: Final = 16
_HAS_PIECE: Final = 32

_GAPS: Final = 3
"""Up to so many days after the one before, the distance is written together with the count."""
_BYTES_MAX: Final = 9
_DAY_MS: Final = 86_400_000
_THOUSAND: Final = 1_000

_Measures = dict[str, tuple[dict[int, Any], dict[str, list[int]]]]
_Piece = tuple[dict[str, tuple[int, Any]], dict[str, tuple[int, float]], _Measures]
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(_Piece).decode


def encode(account: Account, head: bytes) -> bytes:
    """The account behind a row's header."""
    out = BytesWriter()
    out.write(head)
    now = account.now
    base: i64 = 0 if now == MINUS_INFINITY else now
    _write_moment(out, 0, now)
    _write_moment(out, base, account.arrival)
    _write_moment(out, base, account.floor)
    _write_moment(out, base, account.first_seen)
    _write_number(out, account.sequence)
    _write_number(out, account.total)
    _write_number(out, account.operation)
    _write_moment(out, base // _DAY_MS, account.reported_day)
    _write_number(out, account.reported_sequence)
    _write_facts(out, base, account)
    _write_events(out, base, account.events)
    _write_activity(out, base // _DAY_MS, account.activity)
    _write_last_days(out, base // _DAY_MS, account.users)
    _write_last_days(out, base // _DAY_MS, account.teams)
    _write_moments(out, base, account.steps)
    _write_moments(out, base, account.sequences)
    _write_members(out, base, account)
    _write_ids(out, base, account.message_ids.pairs)
    return out.getvalue()


def _write_facts(out: BytesWriter, base: i64, account: Account) -> None:
    last_active, converted_at, cancelled_at = account.last_active, account.converted_at, account.cancelled_at
    ranks, traits, nps, measures = account.ranks, account.traits, account.nps, account.measures
    flags = 0 if last_active is None else _HAS_LAST_ACTIVE
    if converted_at is not None:
        flags |= _HAS_CONVERTED
    if cancelled_at is not None:
        flags |= _HAS_CANCELLED
    if account.tie_cancelled:
        flags |= _TIE_CANCELLED
    if ranks is not None:
        flags |= _HAS_RANKS
    if traits or nps or measures:
        flags |= _HAS_PIECE
    _write_number(out, flags)
    for moment in (last_active, converted_at, cancelled_at):
        if moment is not None:
            _write_moment(out, base, moment)
    if ranks is not None:
        _write_number(out, len(ranks))
        for rank in ranks:
            _write_signed(out, rank)
    if traits or nps or measures:
        piece: bytes = _pack((traits, nps, {name: (one.days, one.values) for name, one in measures.items()}))
        _write_number(out, len(piece))
        out.write(piece)


def _write_events(out: BytesWriter, base: i64, events: dict[str, EventSeries]) -> None:
    _write_number(out, len(events))
    for name, series in events.items():
        _write_text(out, name)
        _write_number(out, series.total)
        _write_moment(out, base, series.first)
        _write_moment(out, base, series.last)
        packed = series.packed
        days = i64(len(packed))
        _write_number(out, days)
        before = base // _DAY_MS
        for place in range(days):
            before = _write_day(out, before, packed[place], place)


def _write_activity(out: BytesWriter, base_day: i64, activity: Activity) -> None:
    packed, scores = activity.packed, activity.scores
    days = i64(len(packed))
    _write_number(out, days)
    before = base_day
    for place in range(days):
        before = _write_day(out, before, packed[place], place)
        score = scores[place]
        whole = score // _THOUSAND
        if whole * _THOUSAND == score:
            _write_number(out, _alternating(whole) << 1)
        else:
            _write_number(out, _alternating(score) << 1 | 1)


def _write_day(out: BytesWriter, before: i64, held: i64, place: i64) -> i64:
    """A day and its count; the first day as its distance from `before`, which the others follow."""
    day, count = held >> COUNT_BITS, held & COUNT_MAX
    if place == 0:
        _write_signed(out, before - day)
        _write_number(out, count)
        return day
    gap = day - before
    if gap <= _GAPS:
        _write_number(out, (count - 1) << 2 | gap)
    else:
        _write_number(out, (count - 1) << 2)
        _write_number(out, gap)
    return day


def _write_last_days(out: BytesWriter, base_day: i64, last_days: dict[str, int]) -> None:
    _write_number(out, len(last_days))
    for name, day in last_days.items():
        _write_text(out, name)
        _write_signed(out, base_day - day)


def _write_moments(out: BytesWriter, base: i64, moments: dict[str, int]) -> None:
    _write_number(out, len(moments))
    for name, moment in moments.items():
        _write_text(out, name)
        _write_moment(out, base, moment)


def _write_members(out: BytesWriter, base: i64, account: Account) -> None:
    """Memberships, then exits: of a segment that is among the memberships the place there."""
    members, exits = account.members, account.exits
    _write_moments(out, base, members)
    _write_number(out, len(exits))
    for segment, moment in exits.items():
        if segment in members:
            _write_number(out, [*members].index(segment) + 1)
        else:
            out.append(u8(0))
            _write_text(out, segment)
        _write_moment(out, base, moment)


def _write_ids(out: BytesWriter, base: i64, pairs: vec[i64]) -> None:
    numbers = i64(len(pairs))
    _write_number(out, numbers >> 1)
    before = base
    for place in range(0, numbers, 2):
        write_i64_be(out, pairs[place])
        arrival = pairs[place + 1]
        _write_signed(out, arrival - before)
        before = arrival


def _write_text(out: BytesWriter, text: str) -> None:
    encoded = text.encode()
    _write_number(out, len(encoded))
    out.write(encoded)


def _write_moment(out: BytesWriter, base: i64, moment: i64) -> None:
    if moment == MINUS_INFINITY:
        out.append(u8(0))
    elif moment == NEVER:
        out.append(u8(1))
    else:
        _write_number(out, _alternating(base - moment) + 2)


def _write_signed(out: BytesWriter, number: i64) -> None:
    _write_number(out, _alternating(number))


def _alternating(number: i64) -> i64:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _write_number(out: BytesWriter, number: i64) -> None:
    assert number >= 0, "an unsigned number"
    while number > 0x7F:
        out.append(u8(number & 0x7F | 0x80))
        number >>= 7
    out.append(u8(number))


def decode(row: bytes, start: int) -> Account:
    """The account of a row behind its header.

    Raises:
        ValueError: the bytes are damaged.
    """
    read = _Reader(row, start)
    account = Account()
    now = read.moment(0)
    base: i64 = 0 if now == MINUS_INFINITY else now
    base_day = base // _DAY_MS
    account.now = now
    account.arrival = read.moment(base)
    account.floor = read.moment(base)
    account.first_seen = read.moment(base)
    account.sequence = read.number()
    account.total = read.number()
    account.operation = read.number()
    account.reported_day = read.moment(base_day)
    account.reported_sequence = read.number()
    _read_facts(read, base, account)
    events = account.events
    for _ in range(read.number()):
        name = read.name()
        total = read.number()
        first = read.moment(base)
        series = EventSeries(total, first, read.moment(base))
        read.days(base_day, series)
        events[name] = series
    _read_activity(read, base_day, account.activity)
    read.last_days(base_day, account.users)
    read.last_days(base_day, account.teams)
    read.moments(base, account.steps)
    read.moments(base, account.sequences)
    _read_members(read, base, account)
    _read_ids(read, base, account.message_ids)
    return account


def _read_facts(read: "_Reader", base: i64, account: Account) -> None:
    flags = read.number()
    if flags & _HAS_LAST_ACTIVE:
        account.last_active = read.moment(base)
    if flags & _HAS_CONVERTED:
        account.converted_at = read.moment(base)
    if flags & _HAS_CANCELLED:
        account.cancelled_at = read.moment(base)
    account.tie_cancelled = flags & _TIE_CANCELLED != 0
    if flags & _HAS_RANKS:
        account.ranks = tuple([int(read.signed()) for _ in range(read.number())])
    if flags & _HAS_PIECE:
        traits, nps, measures = _unpack(read.piece())
        account.traits, account.nps = traits, nps
        account.measures = {name: MeasureSeries(days, values) for name, (days, values) in measures.items()}


def _read_activity(read: "_Reader", base_day: i64, activity: Activity) -> None:
    days = read.number()
    packed, scores, before = activity.packed, activity.scores, base_day
    for place in range(days):
        held = read.day(before, place)
        before = held >> COUNT_BITS
        packed = append(packed, held)
        written = read.number()
        score = -((written >> 2) + 1) if written & 2 else written >> 2
        scores = append(scores, score if written & 1 else score * _THOUSAND)
    activity.packed, activity.scores = packed, scores


def _read_members(read: "_Reader", base: i64, account: Account) -> None:
    members, exits = account.members, account.exits
    read.moments(base, members)
    segments = [*members]
    for _ in range(read.number()):
        place = read.number()
        if place > len(segments):
            raise ValueError("an exit of no segment")
        segment = segments[place - 1] if place else read.name()
        exits[segment] = read.moment(base)


def _read_ids(read: "_Reader", base: i64, ids: MessageIds) -> None:
    pairs, before = ids.pairs, base
    for _ in range(read.number()):
        pairs = append(pairs, read.digest())
        before += read.signed()
        pairs = append(pairs, before)
    ids.pairs = pairs


class _Reader:
    """Goes through a row; a ValueError where it ends too early, or says what nobody writes."""

    __slots__ = ("_end", "_place", "_row")

    _end: i64
    _place: i64

    def __init__(self, row: bytes, start: int) -> None:
        self._row = row
        self._place = start
        self._end = len(row)

    def number(self) -> i64:
        row, place = self._row, self._place
        past = min(self._end, place + _BYTES_MAX)
        number: i64 = 0
        shift: i64 = 0
        while place < past:
            byte: i64 = row[place]
            place += 1
            if byte < 0x80:
                self._place = place
                return number | byte << shift
            number |= (byte & 0x7F) << shift
            shift += 7
        raise ValueError(f"a number without end at {self._place}")

    def signed(self) -> i64:
        written = self.number()
        return -((written >> 1) + 1) if written & 1 else written >> 1

    def moment(self, base: i64) -> i64:
        written = self.number()
        if written == 0:
            return MINUS_INFINITY
        if written == 1:
            return NEVER
        written -= 2
        moment = base + (written >> 1) + 1 if written & 1 else base - (written >> 1)
        if not MINUS_INFINITY < moment < NEVER:
            raise ValueError("a moment beyond all times")
        return moment

    def piece(self) -> bytes:
        length, place = self.number(), self._place
        if length > self._end - place:
            raise ValueError(f"{length} bytes, of which {self._end - place} are there")
        self._place = place + length
        return self._row[place : place + length]

    def digest(self) -> i64:
        place = self._place
        if self._end - place < DIGEST_BYTES:
            raise ValueError("half a message id")
        self._place = place + DIGEST_BYTES
        return read_i64_be(self._row, place)

    def name(self) -> str:
        return shared_name(self.piece())

    def day(self, before: i64, place: i64) -> i64:
        """A day and its count, packed."""
        if place == 0:
            day = before - self.signed()
            count = self.number()
        else:
            written = self.number()
            count = (written >> 2) + 1
            gap = written & 3
            day = before + (gap or self.number())
        if not -DAY_MAX <= day <= DAY_MAX or not 0 < count <= COUNT_MAX or (place and day <= before):
            raise ValueError(f"{count} events on day {day}")
        return (day << COUNT_BITS) + count

    def days(self, base_day: i64, series: EventSeries) -> None:
        packed, before = series.packed, base_day
        for place in range(self.number()):
            held = self.day(before, place)
            before = held >> COUNT_BITS
            packed = append(packed, held)
        series.packed = packed

    def last_days(self, base_day: i64, last_days: dict[str, int]) -> None:
        known: dict[str, Any] = last_days
        for _ in range(self.number()):
            name = self.piece().decode()
            day = base_day - self.signed()
            if not -DAY_MAX <= day <= DAY_MAX:
                raise ValueError(f"a day that is none: {day}")
            known[name] = shared(int(day))

    def moments(self, base: i64, moments: dict[str, int]) -> None:
        for _ in range(self.number()):
            name = self.name()
            moments[name] = self.moment(base)
