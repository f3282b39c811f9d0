"""What gets through intake and engagement, in time and whole."""

from typing import Final

from deploy.prometheus.cases.case import Case, Firing
from deploy.prometheus.cases.samples import counter, gone, level
from deploy.prometheus.pace import MINUTE

STAGE: Final = {"stage": "engagement"}
LAG: Final = "pegel_lag_seconds{stage='engagement', instance='%s', partition='%d'}"
OVERDUE: Final = "pegel_overdue_seconds{stage='engagement', instance='a'}"
LOST: Final = "pegel_records_lost_total{stage='engagement', instance='%s'}"
DELAY: Final = "pegel_watermark_delay_seconds{stage='engagement', instance='a'}"
RECORDS: Final = "pegel_records_total{stage='intake', instance='a'}"
REJECTED: Final = "pegel_rejected_total{stage='intake', instance='a', reason='not_json'}"
APPLIED: Final = "pegel_applied_total{stage='engagement', instance='a'}"
LATE: Final = "pegel_late_total{stage='engagement', instance='a'}"
AHEAD: Final = "pegel_clock_ahead_total{stage='engagement', instance='a'}"
EVICTED: Final = "pegel_evicted_total{stage='engagement', instance='a', collection='%s'}"
FLUSHES: Final = "pegel_flush_duration_seconds_%s{stage='engagement', instance='a'%s}"


def _flushes(quick: float, slow: float) -> dict[str, str]:
    return {
        FLUSHES % ("bucket", ", le='1.0'"): counter((40, quick)),
        FLUSHES % ("count", ""): counter((40, quick + slow)),
    }


SYMPTOMS: Final = (
    Case(
        "PegelLagGrowing",
        "pages when one partition gets older and older",
        {LAG % ("a", 0): level((40, 0)), LAG % ("a", 1): "0+60x40"},
        20 * MINUTE,
        [
            Firing(
                "The oldest record that engagement has yet to apply is 20m 0s old, and over the last 15m it did not "
                "get younger: the backlog does not drain.",
                STAGE,
            )
        ],
    ),
    Case(
        "PegelLagGrowing",
        "is silent about a large backlog that drains",
        {LAG % ("a", 1): "20000-20x60"},
        40 * MINUTE,
    ),
    Case(
        "PegelLagGrowing",
        "is silent about four minutes of growth",
        {LAG % ("a", 1): f"{level((20, 0))} 60+60x3 {level((20, 0))}"},
        25 * MINUTE,
    ),
    Case(
        "PegelDeadlinesOverdue",
        "pages when deadlines are late for a quarter of an hour",
        {OVERDUE: "0+60x40"},
        17 * MINUTE,
        [
            Firing(
                "The oldest deadline that should have fired is 17m 0s late: trials that end, customers who fall "
                "silent, are not told.",
                STAGE,
            )
        ],
    ),
    Case(
        "PegelDeadlinesOverdue",
        "is silent about nine minutes, a midnight with many of them",
        {OVERDUE: "0+60x9 480-60x8 0+0x30"},
        17 * MINUTE,
    ),
    Case(
        "PegelRecordsLost",
        "pages when a worker that starts finds records gone",
        {LOST % "a": f"{level((30, 0))} {gone(90)}", LOST % "b": f"{gone(33)} {level((87, 250))}"},
        40 * MINUTE,
        [
            Firing(
                "250 records were deleted by retention within 1h before engagement came to them. While it is behind, "
                "more go.",
                STAGE,
            )
        ],
    ),
    Case(
        "PegelRecordsLost",
        "is silent about what was said more than an hour ago, and about none",
        {LOST % "a": level((120, 0)), LOST % "b": f"{gone(33)} {level((87, 250))}"},
        100 * MINUTE,
    ),
)

CAUSES: Final = (
    Case(
        "PegelWatermarkStalled",
        "files a ticket when event time stands still",
        {DELAY: "0+60x40"},
        25 * MINUTE,
        [
            Firing(
                "Within 15m the event clock of a partition fell 15m 0s behind the wall clock, though there are "
                "records to read or deadlines due.",
                {"stage": "engagement", "instance": "a"},
            )
        ],
    ),
    Case(
        "PegelWatermarkStalled",
        "is silent while event time passes, if slowly",
        {DELAY: "0+45x40"},
        25 * MINUTE,
    ),
    Case(
        "PegelRejectsFlood",
        "files a ticket when a quarter is refused",
        {RECORDS: counter((40, 100)), REJECTED: counter((40, 25))},
        20 * MINUTE,
        [
            Firing(
                "25% of what intake read within 10m was refused. Beyond the share of its setting reject_ratio_max a "
                "worker stops instead of dead-lettering everything.",
                {"stage": "intake"},
            )
        ],
    ),
    Case(
        "PegelRejectsFlood",
        "is silent about a sixth",
        {RECORDS: counter((40, 120)), REJECTED: counter((40, 20))},
        20 * MINUTE,
    ),
    Case(
        "PegelRejectsFlood",
        "is silent about four of eight in ten minutes",
        {RECORDS: counter((40, 0.8)), REJECTED: counter((40, 0.4))},
        20 * MINUTE,
    ),
    Case(
        "PegelLateEvents",
        "files a ticket when a fifth counts nowhere",
        {APPLIED: counter((80, 80)), LATE: counter((80, 20))},
        60 * MINUTE,
        [
            Firing(
                "20% of the activity of the last 30m was older than its windows: it is in the late topic and counts "
                "nowhere."
            )
        ],
    ),
    Case(
        "PegelLateEvents",
        "is silent about one in twenty",
        {APPLIED: counter((80, 95)), LATE: counter((80, 5))},
        60 * MINUTE,
    ),
    Case(
        "PegelLateEvents",
        "is silent where hardly anything comes",
        {APPLIED: counter((80, 1)), LATE: counter((80, 1))},
        60 * MINUTE,
    ),
    Case(
        "PegelClockSkew",
        "files a ticket when two in a hundred are ahead",
        {APPLIED: counter((40, 100)), AHEAD: counter((40, 2))},
        30 * MINUTE,
        [
            Firing(
                "2% of the events of the last 15m say that they happened more than five minutes after they arrived. "
                "They are counted at their arrival."
            )
        ],
    ),
    Case(
        "PegelClockSkew",
        "is silent about one telephone among thousands",
        {APPLIED: counter((40, 1_000)), AHEAD: counter((40, 2))},
        30 * MINUTE,
    ),
    Case(
        "PegelClockSkew",
        "is silent where hardly anything comes",
        {APPLIED: counter((40, 2)), AHEAD: counter((40, 1))},
        30 * MINUTE,
    ),
    Case(
        "PegelEvictions",
        "files a ticket when users are forgotten all the time",
        {EVICTED % "users": counter((40, 120))},
        30 * MINUTE,
        [
            Firing(
                "2 users a second are forgotten because an account has more than fit: a hot or hostile account, or a "
                "producer that makes up names. Counts of that account are too low.",
                {"collection": "users"},
            )
        ],
    ),
    Case(
        "PegelEvictions",
        "is silent about a full account now and then, and about what every busy account forgets",
        {EVICTED % "users": counter((40, 30)), EVICTED % "message_ids": counter((40, 6_000))},
        30 * MINUTE,
    ),
    Case(
        "PegelFlushSlow",
        "files a ticket when a tenth of the flushes take seconds",
        _flushes(90, 10),
        25 * MINUTE,
        [
            Firing(
                "10% of the flushes of engagement within 10m took longer than 1 s. A flush is one Kafka transaction: "
                "a slow disk, broker or network, or a stage without processor.",
                STAGE,
            )
        ],
    ),
    Case(
        "PegelFlushSlow",
        "is silent about four in a hundred",
        _flushes(96, 4),
        25 * MINUTE,
    ),
    Case(
        "PegelFlushSlow",
        "is silent about one of ten in as many minutes",
        _flushes(0.9, 0.1),
        25 * MINUTE,
    ),
)

CASES: Final = (*SYMPTOMS, *CAUSES)
