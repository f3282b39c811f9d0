"""The form in which accounts are stored from version 3 on: numbers of as few bytes as they take, in a fixed order.

Theory of operation. A number is written in groups of seven bits, lowest first, each byte but the last with its high bit
set; what may be negative alternates, 0, -1, 1, -2. Most numbers of an account are moments and days that are close to
each other, so they are written as distances: moments from the account's `now`, days from the day before. A row stands
for itself: names are written out, for a row is read without any catalog, in five bits a character where they can be
(`letters`).

Of the moments at which segments were entered and left, most follow from others: a window's edge is a midnight, and what
holds for some days from the first record on ends at the same time of the day. Both are few in half hours, and in whole
ones in nearly every time zone (`_write_point`).

A day of a series takes a byte where it follows within three days and counts up to 32. A score is written in whole
events' worth where it is. What has a form of its own, traits and measures, is msgpack in one piece.

Reading trusts nothing: numbers have at most 63 bits, lengths at most what is left.
"""

from typing import Any, Final

import msgspec
from librt.strings import BytesWriter, read_i64_be, write_i64_be
from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr, u8

from streams.engine import letters
from streams.engine.account import MINUS_INFINITY, NONE, Account, Activity, EventSeries, MeasureSeries
from streams.engine.days import COUNT_BITS, COUNT_MAX, DAY_MAX
from streams.engine.message_ids import DIGEST_BYTES, MessageIds
from streams.engine.rules.linear import NEVER
from streams.engine.shared import NAMES_MAX, shared, shared_name

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
_HALF_HOUR_MS: Final = 1_800_000
_HALF_HOURS_MAX: Final = 1 << 36
_POINT_MAX: Final = 1 << 60
_AS_MOMENT: Final = 0
_BEFORE_NOW: Final = 1
_SINCE_FIRST: Final = 2
"""What the lowest two bits of a point say: its other bits are a moment's, or half hours before now or since the first
record."""
_THOUSAND: Final = 1_000

_Measures = dict[str, tuple[dict[int, Any], dict[str, list[int]]]]
_Piece = tuple[dict[str, tuple[int, Any]], dict[str, tuple[int, float]], _Measures]
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(_Piece).decode
_written: Final[dict[str, bytes]] = {}
"""Names as they are written."""


@mypyc_attr(acyclic=True)
class _Near:
    """Moments and a day of an account that others are close to."""

    __slots__ = ("arrival", "day", "first", "latest", "now")

    arrival: i64
    day: i64
    first: i64
    latest: i64
    now: i64

    def __init__(self, account: Account) -> None:
        latest = account.last_active
        now: i64 = account.now
        arrival: i64 = account.arrival
        first: i64 = account.first_seen
        if now == MINUS_INFINITY:
            now = 0
        self.now = self.arrival = self.first = self.latest = now
        self.day = now // _DAY_MS
        if arrival != MINUS_INFINITY:
            self.arrival = arrival
        if first != NEVER:
            self.first = first
        if latest is not None:
            self.latest = latest


def encode(account: Account, head: bytes) -> bytes:
    """The account behind a row's header."""
    out = BytesWriter()
    out.write(head)
    now: i64 = account.now
    base: i64 = 0
    if now != MINUS_INFINITY:
        base = now
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
    near = _Near(account)
    _write_events(out, near, account.events)
    _write_activity(out, near.day, account.activity)
    _write_last_days(out, near.day, account.users)
    _write_last_days(out, near.day, account.teams)
    _write_points(out, near, account.steps)
    _write_points(out, near, account.sequences)
    _write_members(out, near, account)
    _write_ids(out, near.arrival, account.message_ids.pairs)
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
    if last_active is not None:
        _write_moment(out, base, last_active)
    if converted_at is not None:
        _write_moment(out, base, converted_at)
    if cancelled_at is not None:
        _write_moment(out, base, cancelled_at)
    if ranks is not None:
        _write_number(out, len(ranks))
        for rank in ranks:
            _write_signed(out, rank)
    if traits or nps or measures:
        piece: bytes = _pack((traits, nps, {name: (one.days, one.values) for name, one in measures.items()}))
        _write_number(out, len(piece))
        out.write(piece)


def _write_events(out: BytesWriter, near: _Near, events: dict[str, EventSeries]) -> None:
    _write_number(out, len(events))
    for name, series in events.items():
        _write_name(out, name)
        _write_number(out, series.total)
        _write_moment(out, near.first, series.first)
        _write_moment(out, near.latest, series.last)
        packed = series.packed
        days = i64(len(packed))
        _write_number(out, days)
        before = near.day
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


def _write_points(out: BytesWriter, near: _Near, points: dict[str, int]) -> None:
    _write_number(out, len(points))
    for name, point in points.items():
        _write_name(out, name)
        _write_point(out, near, point)


def _write_members(out: BytesWriter, near: _Near, account: Account) -> None:
    """Memberships, then exits: of a segment that is among the memberships the place there."""
    members, exits = account.members, account.exits
    _write_points(out, near, members)
    _write_number(out, len(exits))
    for segment, point in exits.items():
        if segment in members:
            _write_number(out, _place_of(segment, members))
        else:
            out.append(u8(0))
            _write_name(out, segment)
        _write_point(out, near, point)


def _place_of(segment: str, members: dict[str, int]) -> i64:
    """Its place among them, from 1 on."""
    place: i64 = 0
    for member in members:
        place += 1
        if member == segment:
            break
    return place


def _write_ids(out: BytesWriter, arrival: i64, pairs: vec[i64]) -> None:
    """From the newest, which came when the account's latest record did."""
    numbers = i64(len(pairs))
    _write_number(out, numbers >> 1)
    later = arrival
    place = numbers - 2
    while place >= 0:
        write_i64_be(out, pairs[place])
        _write_signed(out, later - pairs[place + 1])
        later = pairs[place + 1]
        place -= 2


def _write_name(out: BytesWriter, name: str) -> None:
    written = _written.get(name)
    if written is None:
        if len(_written) >= NAMES_MAX:
            _written.clear()
        written = _written[name] = _name_as_written(name)
    out.write(written)


def _name_as_written(name: str) -> bytes:
    """Its length in bytes, doubled, one more if it is packed; then the bytes."""
    out = BytesWriter()
    piece = letters.packed(name)
    if piece is None:
        piece = name.encode()
        _write_number(out, len(piece) << 1)
    else:
        _write_number(out, len(piece) << 1 | 1)
    out.write(piece)
    return out.getvalue()


def _write_text(out: BytesWriter, text: str) -> None:
    encoded = text.encode()
    _write_number(out, len(encoded))
    out.write(encoded)


def _write_moment(out: BytesWriter, base: i64, moment: i64) -> None:
    _write_number(out, _moment_as_number(base, moment))


def _moment_as_number(base: i64, moment: i64) -> i64:
    if moment == MINUS_INFINITY:
        return 0
    if moment == NEVER:
        return 1
    return _alternating(base - moment) + 2


def _write_point(out: BytesWriter, near: _Near, point: i64) -> None:
    """A moment that is often a whole number of half hours, or such a number after the first record."""
    before_now = near.now // _HALF_HOUR_MS - point // _HALF_HOUR_MS
    if point % _HALF_HOUR_MS == 0 and 0 <= before_now <= _HALF_HOURS_MAX:
        _write_number(out, before_now << 2 | _BEFORE_NOW)
        return
    since_first = point - near.first
    if since_first % _HALF_HOUR_MS == 0 and 0 <= since_first <= _HALF_HOURS_MAX:
        _write_number(out, since_first // _HALF_HOUR_MS << 2 | _SINCE_FIRST)
        return
    number = _moment_as_number(near.now, point)
    assert 0 <= number < _POINT_MAX, "a moment of these millions of years"
    _write_number(out, number << 2 | _AS_MOMENT)


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
    base: i64 = 0
    if now != MINUS_INFINITY:
        base = now
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
    near = _Near(account)
    _read_events(read, near, account.events)
    _read_activity(read, near.day, account.activity)
    account.users = read.last_days(near.day)
    account.teams = read.last_days(near.day)
    account.steps = read.points(near)
    account.sequences = read.points(near)
    _read_members(read, near, account)
    _read_ids(read, near.arrival, account.message_ids)
    return account


def _read_events(read: "_Reader", near: _Near, events: dict[str, EventSeries]) -> None:
    for _ in range(read.count()):
        name = read.name()
        total = read.number()
        first = read.moment(near.first)
        series = EventSeries(total, first, read.moment(near.latest))
        series.packed = read.days(near.day)
        events[name] = series


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
    days = read.count()
    packed, scores, before = vec[i64]([0] * days), vec[i64]([0] * days), base_day
    for place in range(days):
        held = read.day(before, place)
        before = held >> COUNT_BITS
        packed[place] = held
        written = read.number()
        score = -((written >> 2) + 1) if written & 2 else written >> 2
        scores[place] = score if written & 1 else score * _THOUSAND
    activity.packed, activity.scores = packed, scores


def _read_members(read: "_Reader", near: _Near, account: Account) -> None:
    members, exits, segments = account.members, account.exits, list[str]()
    for _ in range(read.count()):
        segment = read.name()
        segments.append(segment)
        members[segment] = read.point(near)
    for _ in range(read.count()):
        place = read.number()
        if place > len(segments):
            raise ValueError("an exit of no segment")
        segment = segments[place - 1] if place else read.name()
        exits[segment] = read.point(near)


def _read_ids(read: "_Reader", arrival: i64, ids: MessageIds) -> None:
    place = 2 * read.count()
    pairs, later = vec[i64]([0] * place), arrival
    while place > 0:
        place -= 2
        pairs[place] = read.digest()
        later -= read.signed()
        pairs[place + 1] = later
    ids.pairs = pairs


@mypyc_attr(acyclic=True)
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
        if place < self._end:
            number: i64 = row[place]
            if number < 0x80:
                self._place = place + 1
                return number
        return self._long_number()

    def _long_number(self) -> i64:
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

    def count(self) -> i64:
        """How many follow, of a byte each at least."""
        number = self.number()
        if number > self._end - self._place:
            raise ValueError(f"{number} bytes or more, of which {self._end - self._place} are there")
        return number

    def signed(self) -> i64:
        written = self.number()
        return -((written >> 1) + 1) if written & 1 else written >> 1

    def moment(self, base: i64) -> i64:
        return _moment_of(base, self.number())

    def point(self, near: _Near) -> i64:
        written = self.number()
        number, form = written >> 2, written & 3
        if form == _AS_MOMENT:
            return _moment_of(near.now, number)
        if number > _HALF_HOURS_MAX or form > _SINCE_FIRST:
            raise ValueError("a moment beyond all times")
        if form == _SINCE_FIRST:
            return near.first + number * _HALF_HOUR_MS
        return (near.now // _HALF_HOUR_MS - number) * _HALF_HOUR_MS

    def piece(self) -> bytes:
        length = self.count()
        place = self._place
        self._place = place + length
        return self._row[place : place + length]

    def digest(self) -> i64:
        place = self._place
        if self._end - place < DIGEST_BYTES:
            raise ValueError("half a message id")
        self._place = place + DIGEST_BYTES
        return read_i64_be(self._row, place)

    def name(self) -> str:
        head = self.number()
        place = self._place
        past = place + (head >> 1)
        if past > self._end:
            raise ValueError("half a name")
        self._place = past
        return shared_name(self._row, place, head)

    def day(self, before: i64, place: i64) -> i64:
        """A day and its count, packed."""
        if place == 0:
            day = before - self.signed()
            count = self.number()
        else:
            written = self.number()
            count = (written >> 2) + 1
            gap = written & 3
            if gap == 0:
                gap = self.number()
            day = before + gap
        if not -DAY_MAX <= day <= DAY_MAX or not 0 < count <= COUNT_MAX or (place and day <= before):
            raise ValueError(f"{count} events on day {day}")
        return (day << COUNT_BITS) + count

    def days(self, base_day: i64) -> vec[i64]:
        days = self.count()
        packed, before = vec[i64]([0] * days), base_day
        for place in range(days):
            held = self.day(before, place)
            before = held >> COUNT_BITS
            packed[place] = held
        return packed

    def last_days(self, base_day: i64) -> dict[str, int]:
        entries = self.count()
        if entries == 0:
            return NONE
        known: dict[str, Any] = {}
        for _ in range(entries):
            name = self.piece().decode()
            day = base_day - self.signed()
            if not -DAY_MAX <= day <= DAY_MAX:
                raise ValueError(f"a day that is none: {day}")
            known[name] = shared(day)
        return known

    def points(self, near: _Near) -> dict[str, int]:
        entries = self.count()
        if entries == 0:
            return NONE
        points: dict[str, int] = {}
        for _ in range(entries):
            name = self.name()
            points[name] = self.point(near)
        return points


def _moment_of(base: i64, written: i64) -> i64:
    if written == 0:
        return MINUS_INFINITY
    if written == 1:
        return NEVER
    written -= 2
    moment = base + (written >> 1) + 1 if written & 1 else base - (written >> 1)
    if not MINUS_INFINITY < moment < NEVER:
        raise ValueError("a moment beyond all times")
    return moment
