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
    """Of two workers, one of which becomes slow."""
    count, bucket = FLUSHES % ("count", ""), FLUSHES % ("bucket", ", le='1.0'")
    return {
        bucket: counter((40, quick + slow), (40, quick)),
        count: counter((80, quick + slow)),
        bucket.replace("'a'", "'b'"): counter((80, quick + slow)),
        count.replace("'a'", "'b'"): counter((80, quick + slow)),
    }


SYMPTOMS: Final = (
    Case(
        "PegelLagGrowing",
        "pages when one partition gets older and older",
        {
            LAG % ("a", 0): level((70, 0)),
            LAG % ("a", 1): f"{level((31, 0))} 60+60x39",
            LAG % ("b", 2): f"{level((34, 0))} 60+60x36",
        },
        41 * MINUTE,
        [
            Firing(
                "The oldest record that engagement has yet to apply is 11m 0s old, and over the last 15m it did not "
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
        "is silent once it drains, though there is more than an hour ago",
        {LAG % ("a", 1): f"{level((30, 0))} 100+100x29 2970-30x40"},
        80 * MINUTE,
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
        {OVERDUE: "0+60x40", OVERDUE.replace("'a'", "'b'"): level((40, 0))},
        16 * MINUTE,
        [
            Firing(
                "The oldest deadline that should have fired is 16m 0s late: trials that end, customers who fall "
                "silent, are not told.",
                STAGE,
            )
        ],
    ),
    Case(
        "PegelDeadlinesOverdue",
        "is silent about ten minutes, a midnight with many of them",
        {OVERDUE: "0+60x10 540-60x8 0+0x30"},
        17 * MINUTE,
    ),
    Case(
        "PegelRecordsLost",
        "pages when a worker that starts finds records gone",
        {
            LOST % "a": f"{level((30, 0))} {gone(90)}",
            LOST % "b": f"{gone(33)} {level((87, 200))}",
            LOST % "c": f"{gone(33)} {level((87, 50))}",
        },
        33 * MINUTE,
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
        {
            LOST % "a": counter((5, 0), (1, 10), (114, 0)),
            LOST % "b": f"{gone(33)} {level((87, 250))}",
            LOST % "c": level((120, 0)),
        },
        94 * MINUTE,
    ),
)

CAUSES: Final = (
    Case(
        "PegelWatermarkStalled",
        "files a ticket when event time stands still",
        {DELAY: f"{level((30, 0))} 60+60x40"},
        48 * MINUTE,
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
        {
            RECORDS: counter((70, 60)),
            RECORDS.replace("'a'", "'b'"): counter((70, 40)),
            REJECTED: counter((40, 0), (30, 15)),
            REJECTED.replace("'a'", "'b'"): counter((40, 0), (30, 10)),
        },
        54 * MINUTE,
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
        "is silent a quarter of an hour after it is over",
        {RECORDS: counter((80, 100)), REJECTED: counter((40, 0), (20, 90), (20, 0))},
        75 * MINUTE,
    ),
    Case(
        "PegelRejectsFlood",
        "is silent about thirty of sixty in ten minutes",
        {RECORDS: counter((40, 6)), REJECTED: counter((40, 3))},
        20 * MINUTE,
    ),
    Case(
        "PegelLateEvents",
        "files a ticket when a fifth counts nowhere",
        {APPLIED: counter((120, 80)), LATE: counter((60, 0), (60, 20))},
        89 * MINUTE,
        [
            Firing(
                "19.46% of the activity of the last 30m was older than its windows: it is in the late topic and counts "
                "nowhere."
            )
        ],
    ),
    Case(
        "PegelLateEvents",
        "is silent about eight in a hundred",
        {APPLIED: counter((80, 92)), LATE: counter((80, 8))},
        60 * MINUTE,
    ),
    Case(
        "PegelLateEvents",
        "is silent where hardly anything comes",
        {APPLIED: counter((80, 3)), LATE: counter((80, 3))},
        60 * MINUTE,
    ),
    Case(
        "PegelClockSkew",
        "files a ticket when two in a hundred are ahead",
        {APPLIED: counter((80, 100)), AHEAD: counter((40, 0), (40, 2))},
        55 * MINUTE,
        [
            Firing(
                "2% of the events of the last 15m say that they happened more than five minutes after they arrived. "
                "They are counted at their arrival."
            )
        ],
    ),
    Case(
        "PegelClockSkew",
        "is silent about nine in a thousand",
        {APPLIED: counter((40, 1_000)), AHEAD: counter((40, 9))},
        30 * MINUTE,
    ),
    Case(
        "PegelClockSkew",
        "is silent where hardly anything comes",
        {APPLIED: counter((40, 2)), AHEAD: counter((40, 1.2))},
        30 * MINUTE,
    ),
    Case(
        "PegelEvictions",
        "files a ticket when users are forgotten all the time",
        {EVICTED % "users": counter((40, 0), (40, 120)), EVICTED.replace("'a'", "'b'") % "users": level((80, 0))},
        58 * MINUTE,
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
        {EVICTED % "users": counter((40, 54)), EVICTED % "message_ids": counter((40, 6_000))},
        30 * MINUTE,
    ),
    Case(
        "PegelFlushSlow",
        "files a ticket when a tenth of the flushes take seconds",
        _flushes(80, 20),
        55 * MINUTE,
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
        "is silent about four or five in a hundred",
        _flushes(91, 9),
        75 * MINUTE,
    ),
    Case(
        "PegelFlushSlow",
        "is silent about two of eighteen in ten minutes",
        _flushes(0.7, 0.2),
        75 * MINUTE,
    ),
)

CASES: Final = (*SYMPTOMS, *CAUSES)
