"""News to try messages on: the samples that come along, or the transitions of a file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from schemas.dead_letter import Rejected
from schemas.playbook import Play
from schemas.transition import Direction
from streams.notify.plan.delivery import Facts
from streams.notify.plan.news import News, read
from streams.notify.plan.route import match

SAMPLES: Final = ("streams.catalogs.playbooks", "samples.ndjson")
"""A few entries into each segment of the default catalog, made by that catalog out of events of made-up accounts."""
KEPT_MAX: Final = 100_000
OWNERS: Final = ("anna@example.com", "ben@example.com", "cara@example.com")
KEY_NUMBERS: Final[Mapping[str, object]] = {"activation_rate": 2 / 3, "mrr": 120, "nps": None, "usage_ratio": None}
"""What a list of made-up members says of each."""


@dataclass(frozen=True, slots=True)
class Pool:
    """In the order in which they happened. `made_up`: they are the samples."""

    news: tuple[News, ...]
    made_up: bool = False
    refused: int = field(default=0)

    def for_play(self, play: Play) -> list[News]:
        """What the play would tell of: matching news, or of a list who entered its segment; the newest first."""
        roster = play.roster
        if roster is None:
            return [one for one in reversed(self.news) if match(play, one) is not None]
        entries = (one for one in reversed(self.news) if one.direction != Direction.EXITED)
        return [one for one in entries if one.segment == roster.segment]

    def facts(self, news: News) -> Facts:
        """Of a made-up account there is something to say; of a real one a transition alone knows nothing."""
        if not self.made_up:
            return {}
        return {
            "name": news.account_id.replace("-", " ").title(),
            "owner": OWNERS[sum(news.account_id.encode()) % len(OWNERS)],
            "account_url": f"https://crm.example.com/accounts/{news.account_id}",
        }


def built_in() -> Pool:
    package, name = SAMPLES
    lines = (files(package) / name).read_bytes().splitlines()
    return Pool(tuple(read(line) for line in lines), made_up=True)


def pool_of(values: Iterable[bytes], account: str | None, kept_max: int = KEPT_MAX) -> Pool:
    """Of a file's transitions the last so many, of one account if it is named."""
    kept: list[News] = []
    refused = 0
    for value in values:
        try:
            news = read(value, announced=True)
        except Rejected:
            refused += 1
            continue
        if account in (None, news.account_id):
            kept.append(news)
        if len(kept) > 2 * kept_max:
            del kept[:-kept_max]
    return Pool(tuple(sorted(kept[-kept_max:], key=lambda one: one.effective_at_ms)), refused=refused)
