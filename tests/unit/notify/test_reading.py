"""Who is on a list."""

from dataclasses import dataclass

import msgspec

from schemas.membership import WireMembership, WireSegmentMembership
from schemas.timestamps import format_ms
from streams.notify.courier.reading import members_in


@dataclass(frozen=True)
class Kept:
    """A record of the membership topic."""

    account: str
    segments: tuple[str, ...]

    def key(self) -> bytes:
        return self.account.encode()

    def value(self) -> bytes:
        stays = [WireSegmentMembership(segment=one, entered_at=format_ms(0), group=None) for one in self.segments]
        return msgspec.json.encode(
            WireMembership(
                account_id=self.account, as_of=format_ms(0), stage="trial", sequence=1, segments=stays,
                key_numbers={}, catalog_version="v1",
            )
        )  # fmt: skip


def test_the_canary_is_on_no_list_and_an_account_is_by_what_was_said_of_it_last() -> None:
    records = [
        Kept("acme", ("at_risk",)),
        Kept("globex", ("at_risk", "new")),
        Kept("pegel-canary-service-4", ("at_risk",)),
        Kept("acme", ("new",)),
    ]
    assert [one.account_id for one in members_in(records, "at_risk")] == ["globex"]
