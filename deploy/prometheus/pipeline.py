"""Intake and engagement: does what comes in get through, in time and whole?"""

from collections.abc import Iterator
from typing import Final

from deploy.prometheus.pace import HOUR, MINUTE, number
from deploy.prometheus.rules import Alert, Dashboard, Group, Severity, Site

LAG_S: Final = 5 * MINUTE
OVERDUE_S: Final = 10 * MINUTE
REJECTED_SHARE: Final = 0.2
LATE_SHARE: Final = 0.1
AHEAD_SHARE: Final = 0.01
EVICTIONS_PER_S: Final = 1
FLUSH_S: Final = 1.0
"""A bucket of pegel_flush_duration_seconds ends here."""
FLUSH_SHARE: Final = 0.05

HARMLESS_EVICTIONS: Final = "message_ids|days|identities"
"""What busy accounts and long logs overflow in all honesty."""


def groups(site: Site) -> Iterator[Group]:
    symptoms = [_lag(site), _overdue(site), _lost(site)]
    causes = [_watermark(site), _rejects(site), _late(site), _skew(site), _evictions(site), _flush(site)]
    yield Group("pipeline", [*symptoms, *causes])


def _lag(site: Site) -> Alert:
    limit, window = site.pace.age_s(LAG_S), site.pace.window(15 * MINUTE)
    return Alert(
        "PegelLagGrowing",
        f"max by (stage) (\n  pegel_lag_seconds > {limit}\n  and delta(pegel_lag_seconds[{window}]) >= 0\n)",
        Severity.PAGE,
        "{{ $labels.stage }} falls behind",
        "The oldest record that {{ $labels.stage }} has yet to apply is {{ $value | humanizeDuration }} old, and "
        f"over the last {window} it did not get younger: the backlog does not drain.",
        Dashboard.OVERVIEW,
        5 * MINUTE,
    )


def _overdue(site: Site) -> Alert:
    return Alert(
        "PegelDeadlinesOverdue",
        f"max by (stage) (pegel_overdue_seconds) > {site.pace.age_s(OVERDUE_S)}",
        Severity.PAGE,
        "Accounts stay in segments whose time is over",
        "The oldest deadline that should have fired is {{ $value | humanizeDuration }} late: trials that end, "
        "customers who fall silent, are not told.",
        Dashboard.ENGINE,
        5 * MINUTE,
    )


def _lost(site: Site) -> Alert:
    window = site.pace.window(HOUR)
    return Alert(
        "PegelRecordsLost",
        # Counted while a worker starts: its first sample has it already, which no increase shows.
        f"sum by (stage) (\n  increase(pegel_records_lost_total[{window}]) > 0\n"
        f"  or (pegel_records_lost_total unless pegel_records_lost_total offset {window}) > 0\n)",
        Severity.PAGE,
        "Kafka deleted records before {{ $labels.stage }} had read them",
        f"{{{{ $value | humanize }}}} records were deleted by retention within {window} before {{{{ $labels.stage }}}} "
        "came to them. While it is behind, more go.",
        Dashboard.KAFKA,
    )


def _watermark(site: Site) -> Alert:
    window = 15 * MINUTE
    grown = number(0.9 * window * site.pace.factor)
    return Alert(
        "PegelWatermarkStalled",
        f"delta(pegel_watermark_delay_seconds[{site.pace.window(window)}]) >= {grown}",
        Severity.TICKET,
        "The event clock of {{ $labels.instance }} stands still",
        f"Within {site.pace.window(window)} the event clock of a partition fell {{{{ $value | humanizeDuration }}}} "
        "behind the wall clock, though there are records to read or deadlines due.",
        Dashboard.ENGINE,
        5 * MINUTE,
    )


def _rejects(site: Site) -> Alert:
    window = site.pace.window(10 * MINUTE)
    rejected = f"sum by (stage) (increase(pegel_rejected_total[{window}]))"
    return Alert(
        "PegelRejectsFlood",
        f"(\n  {rejected}\n  / sum by (stage) (increase(pegel_records_total[{window}]))\n) > {REJECTED_SHARE}\n"
        f"and {rejected} >= {site.pace.volume(50)}",
        Severity.TICKET,
        "{{ $labels.stage }} refuses a flood of records",
        f"{{{{ $value | humanizePercentage }}}} of what {{{{ $labels.stage }}}} read within {window} was refused. "
        "Beyond the share of its setting reject_ratio_max a worker stops instead of dead-lettering everything.",
        Dashboard.OVERVIEW,
        5 * MINUTE,
    )


def _late(site: Site) -> Alert:
    window = site.pace.window(30 * MINUTE)
    late = f"sum(increase(pegel_late_total[{window}]))"
    return Alert(
        "PegelLateEvents",
        f"(\n  {late}\n  / (sum(increase(pegel_applied_total[{window}])) + {late})\n) > {LATE_SHARE}\n"
        f"and {late} >= {site.pace.volume(100)}",
        Severity.TICKET,
        "Much activity comes too late to count",
        f"{{{{ $value | humanizePercentage }}}} of the activity of the last {window} was older than its windows: it "
        "is in the late topic and counts nowhere.",
        Dashboard.ENGINE,
        15 * MINUTE,
    )


def _skew(site: Site) -> Alert:
    window = site.pace.window(15 * MINUTE)
    ahead = f"sum(increase(pegel_clock_ahead_total[{window}]))"
    return Alert(
        "PegelClockSkew",
        f"(\n  {ahead}\n  / sum(increase(pegel_applied_total[{window}]))\n) > {AHEAD_SHARE}\n"
        f"and {ahead} >= {site.pace.volume(20)}",
        Severity.TICKET,
        "A producer's clock is ahead",
        f"{{{{ $value | humanizePercentage }}}} of the events of the last {window} say that they happened more than "
        "five minutes after they arrived. They are counted at their arrival.",
        Dashboard.ENGINE,
        5 * MINUTE,
    )


def _evictions(site: Site) -> Alert:
    window = site.pace.window(15 * MINUTE)
    return Alert(
        "PegelEvictions",
        f'sum by (collection) (rate(pegel_evicted_total{{collection!~"{HARMLESS_EVICTIONS}"}}[{window}])) '
        f"> {EVICTIONS_PER_S}",
        Severity.TICKET,
        "An account overflows its {{ $labels.collection }}",
        "{{ $value | humanize }} {{ $labels.collection }} a second are forgotten because an account has "
        "more than fit: a hot or hostile account, or a producer that makes up names. Counts of that account are too "
        "low.",
        Dashboard.ENGINE,
        10 * MINUTE,
    )


def _flush(site: Site) -> Alert:
    window = site.pace.window(10 * MINUTE)
    flushes = f"sum by (stage) (increase(pegel_flush_duration_seconds_count[{window}]))"
    quick = f'sum by (stage) (increase(pegel_flush_duration_seconds_bucket{{le="{FLUSH_S}"}}[{window}]))'
    return Alert(
        "PegelFlushSlow",
        f"(\n  1 - {quick}\n  / {flushes}\n) > {FLUSH_SHARE}\nand {flushes} >= {site.pace.volume(20)}",
        Severity.TICKET,
        "Flushes of {{ $labels.stage }} take seconds",
        f"{{{{ $value | humanizePercentage }}}} of the flushes of {{{{ $labels.stage }}}} within {window} took "
        f"longer than {FLUSH_S:g} s. A flush is one Kafka transaction: a slow disk, broker or network, or a stage "
        "without processor.",
        Dashboard.KAFKA,
        10 * MINUTE,
    )
