"""Who gets which partition: as few moves as balance allows.

Theory of operation. Every move costs a load of state, so a member keeps what it had up to its fair share, and only the
rest is dealt out. Each member sends along, in its join, which partitions it was given last and when; where two claim
the same one, the later is right (if clocks disagree, a partition moves in vain: no more). The group's leader computes
all from that, so the result depends on the claims alone. (The clients' round robin deals from scratch by random member
ids: nearly everything moves.)

All members of a group subscribe to one topic.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

NAME: Final = "pegel-sticky"
VERSION: Final = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a member was given last, and when."""

    since_ms: int
    partitions: frozenset[int]

    def encode(self) -> bytes:
        return json.dumps({"since_ms": self.since_ms, "partitions": sorted(self.partitions)}).encode()


NO_CLAIM: Final = Claim(-1, frozenset())


def decode_claim(user_data: bytes | None) -> Claim:
    """Read a claim; whoever sends none, or one of another kind, claims nothing."""
    try:
        content = json.loads(user_data or b"{}")
        return Claim(int(content["since_ms"]), frozenset(map(int, content["partitions"])))
    except (ValueError, TypeError, KeyError):
        return NO_CLAIM


def deal(partitions: Iterable[int], claims: Mapping[str, Claim]) -> dict[str, list[int]]:
    """Share the partitions out: shares differ by one at most, and nothing moves that need not."""
    free = set(partitions)
    members = sorted(claims)
    share, larger_shares = divmod(len(free), len(members))
    wanted = {member: sorted(_rightful(member, claims) & free) for member in members}
    # Those who hold most may have the larger shares: fewer partitions move.
    by_holding = sorted(members, key=lambda member: (-len(wanted[member]), member))
    room = {member: share + (place < larger_shares) for place, member in enumerate(by_holding)}
    dealt = {member: wanted[member][: room[member]] for member in members}
    free -= {number for numbers in dealt.values() for number in numbers}
    rest = iter(sorted(free))
    for member in members:
        for _ in range(room[member] - len(dealt[member])):
            dealt[member].append(next(rest))
    return dealt


def _rightful(member: str, claims: Mapping[str, Claim]) -> set[int]:
    mine = claims[member]
    return {
        number
        for number in mine.partitions
        if not any(
            number in other.partitions and (other.since_ms, name) > (mine.since_ms, member)
            for name, other in claims.items()
            if name != member
        )
    }


class StickyAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """The same for aiokafka. An instance, not a class, is given to the consumer: it remembers one member's claim."""

    name = NAME

    def __init__(self) -> None:
        self._claim = NO_CLAIM

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        topics = {topic for metadata in members.values() for topic in metadata.subscription}
        claims = {member: decode_claim(metadata.user_data) for member, metadata in members.items()}
        shares: dict[str, list[tuple[str, list[int]]]] = {member: [] for member in members}
        for topic in sorted(topics):
            for member, numbers in deal(cluster.partitions_for_topic(topic) or (), claims).items():
                shares[member].append((topic, numbers))
        return {member: ConsumerProtocolMemberAssignment(VERSION, share, b"") for member, share in shares.items()}

    def metadata(self, topics: Iterable[str]) -> Any:
        return ConsumerProtocolMemberMetadata(VERSION, list(topics), self._claim.encode())

    def on_assignment(self, assignment: Any) -> None:
        self._claim = Claim(int(time.time() * 1000), frozenset(tp.partition for tp in assignment.partitions()))
