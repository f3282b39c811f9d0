"""Messages on their way to people."""

from typing import Final

from deploy.prometheus.cases.case import Case, Firing
from deploy.prometheus.cases.samples import counter, gone, level
from deploy.prometheus.pace import DAY, HOUR, MINUTE

TEAM: Final = {"destination": "team"}
LABELS: Final = "{stage='courier', instance='%s', destination='team'}"
OLDEST: Final = f"pegel_oldest_undelivered_seconds{LABELS}"
OPEN: Final = f"pegel_open_deliveries{LABELS}"
HELD: Final = f"pegel_held{LABELS}"
BREAKER: Final = "pegel_breaker{stage='courier', instance='%s', destination='team', state='%s'}"
ENDED: Final = "pegel_deliveries_total{stage='courier', instance='a', destination='team', reason='%s'}"

CASES: Final = (
    Case(
        "PegelUndelivered",
        "pages when messages wait for longer than half an hour",
        {
            OLDEST % "a": "0+60x60",
            OPEN % "a": level((60, 7)),
            HELD % "a": level((60, 0)),
            OLDEST % "b": level((60, 0)),
            OPEN % "b": level((60, 0)),
        },
        36 * MINUTE,
        [
            Firing(
                "The oldest message for team has waited for 36m 0s. It is tried again until give_up_h of the "
                "playbook is over, then it becomes a dead letter.",
                TEAM,
            )
        ],
    ),
    Case(
        "PegelUndelivered",
        "is silent where an operator holds them",
        {OLDEST % "a": "0+60x60", OPEN % "a": level((60, 7)), HELD % "a": level((60, 1)), HELD % "b": level((60, 0))},
        40 * MINUTE,
    ),
    Case(
        "PegelUndelivered",
        "is silent about four messages",
        {OLDEST % "a": "0+60x60", OPEN % "a": level((60, 4)), HELD % "a": level((60, 0))},
        40 * MINUTE,
    ),
    Case(
        "PegelUndelivered",
        "is silent about a provider that is away for half an hour",
        {OLDEST % "a": f"0+60x30 {level((30, 0))}", OPEN % "a": level((60, 7)), HELD % "a": level((60, 0))},
        40 * MINUTE,
    ),
    Case(
        "PegelBreakerOpen",
        "files a ticket when tries do not close it",
        {
            BREAKER % ("a", "closed"): level((10, 1), (60, 0)),
            BREAKER % ("a", "open"): level((10, 0), (10, 1), (1, 0), (49, 1)),
            BREAKER % ("a", "probing"): level((20, 0), (1, 1), (49, 0)),
            BREAKER % ("b", "closed"): level((70, 0)),
            HELD % "a": level((70, 0)),
        },
        40 * MINUTE,
        [
            Firing(
                "The breaker of team has been open or probing for 30m: nothing but a try now and then is sent. Other "
                "destinations go on.",
                TEAM,
            )
        ],
    ),
    Case(
        "PegelBreakerOpen",
        "is silent when a try closed it in between",
        {
            BREAKER % ("a", "closed"): level((20, 0), (1, 1), (39, 0)),
            BREAKER % ("a", "open"): level((20, 1), (1, 0), (39, 1)),
            BREAKER % ("a", "probing"): level((60, 0)),
            HELD % "a": level((60, 0)),
        },
        45 * MINUTE,
    ),
    Case(
        "PegelBreakerOpen",
        "is silent where an operator holds the destination",
        {
            BREAKER % ("a", "closed"): level((60, 0)),
            BREAKER % ("a", "open"): level((60, 1)),
            BREAKER % ("a", "probing"): level((60, 0)),
            HELD % "a": level((60, 1)),
            HELD % "b": level((60, 0)),
        },
        45 * MINUTE,
    ),
    Case(
        "PegelDestinationHeld",
        "files a ticket after two days, though the courier moved meanwhile",
        {
            HELD % "a": f"{level((3, 0), (20, 1))} {gone(60)}",
            HELD % "b": f"{gone(23)} {level((60, 1))}",
            HELD % "c": level((80, 0)),
        },
        2 * DAY + 3 * HOUR,
        [
            Firing(
                "An operator paused or drained team more than 2d ago. What waits for it is given up after give_up_h "
                "of the playbook.",
                TEAM,
            )
        ],
        step_s=HOUR,
    ),
    Case(
        "PegelDestinationHeld",
        "is silent about a pause over a night",
        {HELD % "a": level((10, 0), (14, 1), (40, 0))},
        2 * DAY + 3 * HOUR,
        step_s=HOUR,
    ),
    Case(
        "PegelDestinationHeld",
        "is silent after a day and a half",
        {HELD % "a": level((15, 0), (60, 1))},
        2 * DAY + 3 * HOUR,
        step_s=HOUR,
    ),
    Case(
        "PegelDeadLetters",
        "files a ticket for messages that were given up",
        {
            ENDED % "rejected": counter((80, 0), (1, 4), (70, 0)),
            ENDED.replace("'a'", "'b'") % "rejected": counter((80, 0), (1, 2), (70, 0)),
            ENDED % "delivered": counter((150, 5)),
        },
        81 * MINUTE,
        [
            Firing(
                "6 messages for team became dead letters within 1h (rejected). They are kept and can be sent again.",
                TEAM | {"reason": "rejected"},
            )
        ],
    ),
    Case(
        "PegelDeadLetters",
        "is silent about what is tried again or dropped by hand, and about an hour ago",
        {
            ENDED % "rejected": counter((3, 0), (1, 3), (90, 0)),
            ENDED % "retry_destination": counter((80, 5)),
            ENDED % "dropped": counter((80, 5)),
            ENDED % "delivered": counter((80, 5)),
        },
        70 * MINUTE,
    ),
)
