"""What a game day found, as it is kept beside this file and told on the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tests.gameday.alerts import Verdict
from tests.gameday.ground import Step
from tests.gameday.truth import Truth

RESULTS: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scenario."""

    name: str
    fault: str
    runbook: str
    expected: Mapping[str, str]
    verdict: Verdict
    steps: tuple[Step, ...]
    truth: Truth


@dataclass(frozen=True, slots=True)
class Scraped:
    """/metrics of one process."""

    name: str
    series_first: int
    series_last: int
    series_max: int
    """What the tests hold it to, Python's own left out."""
    rest_ms: float
    """The usual scrape when no load is left."""
    median_ms: float
    """Of those that Prometheus did, one a second, all the time."""
    p99_ms: float
    slowest_ms: float


@dataclass(frozen=True, slots=True)
class GameDay:
    factor: str
    """1/30: an hour is two minutes."""
    took_s: float
    circumstances: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    scraped: tuple[Scraped, ...]
    end: Truth | None = None
    """Exact, after the last worker has left in good order."""

    @property
    def wrong(self) -> list[str]:
        """Scenarios in which an alert or the logs were not as they should be; `end`, if that is."""
        names = [one.name for one in self.outcomes if not one.verdict.is_right or one.truth.problems]
        return names + (["end"] if self.end is not None and self.end.problems else [])

    @property
    def is_right(self) -> bool:
        return not self.wrong


def stored(day: GameDay) -> bytes:
    return msgspec.json.format(msgspec.json.encode(day), indent=1) + b"\n"


def read(raw: bytes) -> GameDay:
    return msgspec.json.decode(raw, type=GameDay)
