from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.assignor import NO_CLAIM, Claim, StickyAssignor, deal, decode_claim

members = st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=6, unique=True)


@st.composite
def claims(draw: st.DrawFn) -> dict[str, Claim]:
    return {
        member: draw(st.builds(Claim, st.integers(0, 3), st.frozensets(st.integers(0, 15)))) for member in draw(members)
    }


@given(st.integers(0, 16), claims())
def test_every_partition_has_exactly_one_owner(partitions: int, claimed: dict[str, Claim]) -> None:
    dealt = deal(range(partitions), claimed)
    assert sorted(number for numbers in dealt.values() for number in numbers) == list(range(partitions))
    assert dealt.keys() == claimed.keys()


@given(st.integers(0, 16), claims())
def test_shares_differ_by_one_at_most(partitions: int, claimed: dict[str, Claim]) -> None:
    sizes = [len(numbers) for numbers in deal(range(partitions), claimed).values()]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 16), members)
def test_nothing_moves_when_nobody_comes_or_goes(partitions: int, names: list[str]) -> None:
    before = deal(range(partitions), dict.fromkeys(names, NO_CLAIM))
    again = deal(range(partitions), {name: Claim(1, frozenset(numbers)) for name, numbers in before.items()})
    assert {name: set(numbers) for name, numbers in again.items()} == {n: set(p) for n, p in before.items()}


@given(st.integers(1, 16), members)
def test_a_newcomer_takes_only_its_own_share_away(partitions: int, names: list[str]) -> None:
    before = deal(range(partitions), dict.fromkeys(names, NO_CLAIM))
    claimed = {name: Claim(1, frozenset(numbers)) for name, numbers in before.items()} | {"zz": NO_CLAIM}
    after = deal(range(partitions), claimed)
    moved = sum(len(set(after[name]) - set(before[name])) for name in names)
    assert moved == 0
    assert len(after["zz"]) == partitions // (len(names) + 1)


def test_the_later_of_two_claims_is_right() -> None:
    dealt = deal(range(4), {"old": Claim(1, frozenset({0, 1})), "new": Claim(2, frozenset({0, 1}))})
    assert set(dealt["new"]) == {0, 1}


def test_a_claim_survives_the_wire_and_nonsense_claims_nothing() -> None:
    claim = Claim(7, frozenset({3, 1}))
    assert decode_claim(claim.encode()) == claim
    for nonsense in (None, b"", b"\xff", b"[]", b'{"since_ms": "x"}', b"{}"):
        assert decode_claim(nonsense) == NO_CLAIM


def test_a_member_claims_what_it_was_given() -> None:
    class Cluster:
        def partitions_for_topic(self, topic: str) -> set[int]:
            return {0, 1, 2, 3}

    first, second = StickyAssignor(), StickyAssignor()
    metadata = {"a": first.metadata(["in"]), "b": second.metadata(["in"])}
    given_to = first.assign(Cluster(), metadata)
    first.on_assignment(given_to["a"])
    alone = first.assign(Cluster(), {"a": first.metadata(["in"]), "c": StickyAssignor().metadata(["in"])})
    assert set(alone["a"].partitions()) == set(given_to["a"].partitions())
