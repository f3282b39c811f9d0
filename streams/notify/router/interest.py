"""Which destinations must hear of a transition: those with a play that names its segment, for whatever purpose.

What becomes of the news there, if anything, is for the courier's plan to say, which knows the account's past and the
time.
"""

from collections.abc import Iterable, Mapping, Sequence

from schemas.playbook import ANY
from streams.notify.plan.destination import DestinationPlan
from streams.notify.plan.news import News


class Interests:
    """Destinations by the segments that their plays name; hears of what `DestinationPlan.wants`."""

    def __init__(self, plans: Sequence[DestinationPlan]) -> None:
        named: dict[str, dict[str, None]] = {}
        for plan in plans:
            for play in plan.plays:
                for word in play.mentions:
                    named.setdefault(word, {})[plan.id] = None
        self._by_word: Mapping[str, Sequence[str]] = {word: tuple(found) for word, found in named.items()}

    def of(self, news: News) -> Iterable[str]:
        """The destinations that hear of it, each once."""
        by_word = self._by_word
        words = (ANY, news.segment, news.from_segment)
        return dict.fromkeys(name for word in words if word is not None for name in by_word.get(word, ()))
