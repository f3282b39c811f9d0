"""The canary's way, and the canary itself."""

from typing import Final

from deploy.prometheus.cases.case import Case, Firing
from deploy.prometheus.cases.samples import counter, gone, level
from deploy.prometheus.pace import MINUTE

SEEN: Final = "pegel_canary_last_seen_timestamp_seconds{instance='c'}"
WRONG: Final = "pegel_canary_crossings_total{instance='c', outcome='wrong'}"
MISSED_RULE: Final = {"outcome": "missed"}

CASES: Final = (
    Case(
        "PegelCanaryBroken",
        "pages when an account was not seen for eleven minutes",
        {SEEN: "0+60x10 600+0x11", WRONG: level((30, 0))},
        21 * MINUTE,
        [
            Firing(
                "An account of the canary got its last transition 11m 0s ago. There is one for each partition; what "
                "happens to it happens to customers' accounts.",
                rule=MISSED_RULE,
            )
        ],
    ),
    Case(
        "PegelCanaryBroken",
        "is silent after ten minutes",
        {SEEN: "0+60x10 600+0x10", WRONG: level((30, 0))},
        20 * MINUTE,
    ),
    Case(
        "PegelCanaryBroken",
        "pages at one wrong crossing",
        {SEEN: "0+60x80", WRONG: counter((60, 0), (1, 1), (19, 0))},
        61 * MINUTE,
        [
            Firing(
                "1 crossings of the canary were wrong within 1h: another direction, a number left out, or written "
                "twice. What happens to it happens to customers' accounts.",
                rule={"outcome": "wrong"},
            )
        ],
    ),
    Case(
        "PegelCanaryBroken",
        "is silent about a wrong crossing of an hour ago",
        {SEEN: "0+60x130", WRONG: counter((1, 0), (1, 1), (128, 0))},
        63 * MINUTE,
    ),
    Case(
        "PegelCanarySilent",
        "pages when no canary is scraped",
        {SEEN: f"0+60x10 {gone(20)}"},
        26 * MINUTE,
        [
            Firing(
                "No canary is scraped: nobody tries any more whether transitions come, and no other alert would say so."
            )
        ],
    ),
    Case(
        "PegelCanarySilent",
        "is silent while it restarts",
        {SEEN: f"0+60x10 {gone(14)} 1500+60x10"},
        24 * MINUTE,
    ),
)
