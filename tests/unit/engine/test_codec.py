import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine import codec, compact
from streams.engine.account import MINUS_INFINITY, NONE, Account, EventSeries, account_of, fields_of
from streams.engine.codec import OLDEST, VERSION, StateError
from streams.engine.partition import Partition
from streams.engine.program import compile_catalog
from streams.engine.rules.linear import NEVER
from streams.engine.shared import NAMES_MAX
from tests.unit.engine.building import DAY, START, Log, program_of
from tests.unit.engine.logs import RULES, Sent, logs

PROGRAM = compile_catalog(RULES)


@settings(deadline=None, max_examples=50)
@given(logs(accounts=("acme",)))
def test_what_is_decoded_is_what_was_encoded(log: list[Sent]) -> None:
    partition = Partition(PROGRAM)
    for sent in log:
        sent.to(partition)
    for _, stored in partition.take_changes():
        account = codec.decode(stored)
        assert codec.encode(account) == stored
        assert codec.next_deadline(stored) == account.next_at


def test_an_empty_account_survives() -> None:
    assert codec.decode(codec.encode(Account())) == Account()
    assert codec.next_deadline(codec.encode(Account())) == NEVER


@settings(deadline=None, max_examples=30)
@given(logs(accounts=("acme", "hooli")))
def test_what_accounts_have_none_of_they_share_and_nobody_writes(log: list[Sent]) -> None:
    partition = Partition(PROGRAM)
    assert all(held is NONE for held in (Account().traits, Account().users))
    for sent in log:
        sent.to(partition)
    partition.advance_clock(START + 400 * DAY)
    partition.erase_user("u1")
    assert NONE == {}
    held = [one[0] for one in map(partition.account, partition.account_ids()) if one is not None]
    held += [codec.decode(stored) for _, stored in partition.take_changes()]
    kept = [value for account in held for value in fields_of(account).values() if type(value) is dict]
    kept = [value for value in kept if value is not NONE]
    assert len({id(value) for value in kept}) == len(kept)


@pytest.mark.parametrize("version", [0, VERSION + 1, 255])
def test_another_version_is_refused_by_its_number(version: int) -> None:
    stored = bytes([version]) + codec.encode(Account())[1:]
    for read in (codec.decode, codec.next_deadline):
        with pytest.raises(StateError, match=f"has version {version}, this program reads {OLDEST} to {VERSION}"):
            read(stored)


@pytest.mark.parametrize("stored", [b"", bytes([VERSION]), bytes([VERSION]) * 8])
def test_too_few_bytes_are_refused(stored: bytes) -> None:
    with pytest.raises(StateError):
        codec.decode(stored)
    with pytest.raises(StateError):
        codec.next_deadline(stored)


@given(st.data())
def test_damaged_bytes_are_refused_or_read_but_never_crash(data: st.DataObject) -> None:
    stored = bytearray(codec.encode(account_of(users={"u": 1}, traits={"plan": (START, "team")}, now=START)))
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    try:
        account = codec.decode(bytes(stored))
    except StateError:
        return
    assert isinstance(account, Account)


@pytest.mark.parametrize("cut", [9, 10, 20, -1])
def test_cut_bytes_are_refused(cut: int) -> None:
    with pytest.raises(StateError, match="damaged"):
        codec.decode(codec.encode(account_of(users={"u": 1}, now=START))[:cut])


@pytest.mark.parametrize("stored", [b"\x00", b"\x80", b"\x91\xa1x", b"\xc1", b"\xff" * 100, b"\x00" * 10 + b"\x7f" * 9])
def test_what_is_no_account_is_refused(stored: bytes) -> None:
    header = codec.encode(Account())[:9]
    with pytest.raises(StateError, match="damaged"):
        codec.decode(header + stored)


def test_an_account_of_a_year_is_small() -> None:
    """Some two events a working day by three users: about the size that changelogs are planned for."""
    log = Log(program_of('count("*", days=28) > 3', 'count("run", days=7) > 2'))
    for day in range(365):
        if day % 7 < 5:
            for name in ("run", "share"):
                log.track(name, START + day * DAY, user=f"u{day % 3}")
    (_, stored), *_ = log.partition.take_changes()
    assert len(stored) < 3_000


HALF_HOUR = 1_800_000
moments = st.one_of(
    st.integers(START - 100 * DAY, START + 100 * DAY),
    st.integers(-10_000, 10_000).map(lambda number: START + number * HALF_HOUR),
    st.integers(-(1 << 50), 1 << 50),
    st.integers(-(1 << 20), 1 << 20).map(lambda number: number * HALF_HOUR),
    st.sampled_from([0, -1, -HALF_HOUR, MINUS_INFINITY, NEVER]),
)


@settings(deadline=None)
@given(st.lists(moments, min_size=1, max_size=12), st.data())
def test_moments_are_what_they_were_whatever_they_are_written_as(points: list[int], data: st.DataObject) -> None:
    named = {f"segment {number}": point for number, point in enumerate(points)}
    near = data.draw(st.sampled_from([START, START + 7, *(point for point in points if abs(point) <= 1 << 50)]))
    account = account_of(
        now=data.draw(st.sampled_from([START, MINUS_INFINITY, near])),
        arrival=data.draw(st.sampled_from([MINUS_INFINITY, near, START])),
        first_seen=data.draw(st.one_of(moments.filter(lambda at: abs(at) <= 1 << 50), st.just(NEVER))),
        last_active=data.draw(st.sampled_from([None, START, near])),
        members=named, exits={**named, "left": points[-1]}, steps=named, sequences=named,
        events={"a": EventSeries(1, START - 5, START), "b": EventSeries(2, near, near)},
    )  # fmt: skip
    stored = codec.encode(account)
    assert codec.decode(stored) == account
    assert codec.encode(codec.decode(stored)) == stored


@pytest.mark.parametrize(
    ("left_at", "added"),
    [(START, 3), (START - 60 * DAY, 4), (START + 1 - 90 * DAY + 14 * DAY, 4), (START - 60 * DAY + 1_234_567, 8)],
)
def test_a_midnight_and_a_time_since_the_first_record_take_a_byte_or_two(left_at: int, added: int) -> None:
    before = codec.encode(account_of(now=START, first_seen=START + 1 - 90 * DAY))
    after = codec.encode(account_of(now=START, first_seen=START + 1 - 90 * DAY, exits={"a": left_at}))
    assert len(after) - len(before) - 1 <= added


def test_no_more_names_are_kept_as_they_are_written_than_the_limit() -> None:
    for first in range(0, 3 * NAMES_MAX, 200):
        codec.encode(account_of(steps={f"step {first + number}": START for number in range(200)}))
    assert 0 < len(compact._written) <= NAMES_MAX
