"""Processes: are they there, at work, and well?

`PegelStageDown`, `PegelPartitionsUnowned` and `PegelBrokersSilent` are what users feel; the others are causes. A stage
is compared with what it was during the last day: a deployment without a notifier has none to miss.
"""

from collections.abc import Iterator
from typing import Final

from deploy.prometheus.pace import DAY, MINUTE, number
from deploy.prometheus.rules import Alert, Dashboard, Group, Severity, Site

RESTARTS_MIN: Final = 3
MEMORY_SHARE: Final = 0.9
STALLS_MIN: Final = 3
SILENT_S: Final = 60
"""Longer than any election of leaders takes."""
STALL_S: Final = 1.0
"""A bucket of pegel_loop_delay_seconds ends here."""


def groups(site: Site) -> Iterator[Group]:
    symptoms = [_stage_down(site), _unowned(site), _silent(site)]
    causes = [_down(site), _not_ready(site), _restarting(site), _memory(site), _stalls(site), _catalogs()]
    yield Group("workers", [*symptoms, *causes])


def _stage_down(site: Site) -> Alert:
    return Alert(
        "PegelStageDown",
        f"count by (stage) (max_over_time(pegel_ready[{site.pace.window(DAY)}]))\n"
        "unless on (stage) sum by (stage) (pegel_ready) > 0",
        Severity.PAGE,
        "No worker of {{ $labels.stage }} is at work",
        "Of the {{ $value }} workers of {{ $labels.stage }} that were seen during the last "
        f"{site.pace.window(DAY)} none is ready. Nothing is lost, but this stage stands still.",
        Dashboard.OVERVIEW,
        5 * MINUTE,
    )


def _unowned(site: Site) -> Alert:
    owned = "count by (stage) (count by (stage, partition) ({}))"
    return Alert(
        "PegelPartitionsUnowned",
        f"{owned.format(f'max_over_time(pegel_lag_records[{site.pace.window(DAY)}])')}\n"
        f"- {owned.format('pegel_lag_records')} > 0",
        Severity.PAGE,
        "Partitions of {{ $labels.stage }} belong to nobody",
        "{{ $value }} partitions of {{ $labels.stage }} were somebody's during the last "
        f"{site.pace.window(DAY)} and are nobody's now: what lies in them stands still.",
        Dashboard.OVERVIEW,
        5 * MINUTE,
    )


def _silent(site: Site) -> Alert:
    limit = site.pace.age_s(SILENT_S)
    # A worker ends over it after five minutes, and the next one hears nothing before it is at work: still the same.
    before = f"max by (stage) (max_over_time(pegel_broker_silence_seconds[{site.pace.window(15 * MINUTE)}])) > {limit}"
    return Alert(
        "PegelBrokersSilent",
        f"max by (stage) (pegel_broker_silence_seconds) > {limit}\n"
        f"or (\n  {before}\n  unless on (stage) max by (stage) (pegel_ready) > 0\n)",
        Severity.PAGE,
        "Brokers do not answer {{ $labels.stage }}",
        "A worker of {{ $labels.stage }} heard nothing from Kafka for {{ $value | humanizeDuration }}, and no other "
        "has taken over: what lies in its partitions stands still. Where it is all workers, the brokers are gone.",
        Dashboard.KAFKA,
        2 * MINUTE,
    )


def _down(site: Site) -> Alert:
    return Alert(
        "PegelWorkerDown",
        f'up{{job=~"{site.jobs}"}} == 0',
        Severity.TICKET,
        "{{ $labels.instance }} cannot be scraped",
        "{{ $labels.instance }} of job {{ $labels.job }} has not answered for "
        f"{site.pace.hold(10 * MINUTE)}. Others have taken over its partitions, or PegelPartitionsUnowned and "
        "PegelStageDown say that they did not.",
        Dashboard.OVERVIEW,
        10 * MINUTE,
    )


def _not_ready(site: Site) -> Alert:
    return Alert(
        "PegelWorkerNotReady",
        "pegel_ready == 0\n"
        f"unless on (stage, instance) delta(pegel_restore_progress_ratio[{site.pace.window(10 * MINUTE)}]) > 0",
        Severity.TICKET,
        "{{ $labels.instance }} ({{ $labels.stage }}) does not get ready",
        "{{ $labels.instance }} answers, but for "
        f"{site.pace.hold(15 * MINUTE)} it was neither at work nor getting on with loading its state.",
        Dashboard.OVERVIEW,
        15 * MINUTE,
    )


def _restarting(site: Site) -> Alert:
    window = site.pace.window(30 * MINUTE)
    return Alert(
        "PegelWorkerRestarting",
        f'changes(process_start_time_seconds{{job=~"{site.jobs}"}}[{window}]) >= {RESTARTS_MIN}',
        Severity.TICKET,
        "{{ $labels.instance }} restarts again and again",
        f"{{{{ $labels.instance }}}} started {{{{ $value }}}} times within {window}. A worker that meets an unexpected "
        "error commits nothing more and ends with 70; why stands in the last lines of its log.",
        Dashboard.OVERVIEW,
    )


def _memory(site: Site) -> Alert:
    limit = site.memory_limit_bytes
    return Alert(
        "PegelMemoryNearLimit",
        f'process_resident_memory_bytes{{job=~"{site.jobs}"}} > {number(MEMORY_SHARE * limit)}',
        Severity.TICKET,
        "{{ $labels.instance }} has little memory left",
        f"{{{{ $labels.instance }}}} takes {{{{ $value | humanize1024 }}}}B of {limit / 2**20:.0f} MiB. At the limit "
        "it is killed, and so is whoever takes over its partitions.",
        Dashboard.ENGINE,
        15 * MINUTE,
    )


def _stalls(site: Site) -> Alert:
    window = site.pace.window(10 * MINUTE)
    seen = f"sum by (stage, instance) (increase(pegel_loop_delay_seconds_count[{window}]))"
    quick = f'sum by (stage, instance) (increase(pegel_loop_delay_seconds_bucket{{le="{STALL_S}"}}[{window}]))'
    return Alert(
        "PegelLoopStalls",
        f"(\n  {seen}\n  - {quick}\n) > {STALLS_MIN}",
        Severity.TICKET,
        "{{ $labels.instance }} ({{ $labels.stage }}) stands still for seconds at a time",
        f"The event loop of {{{{ $labels.instance }}}} was more than {STALL_S:g} s late {{{{ $value | humanize }}}} "
        f"times within {window}. Too little processor, or swapping; for longer than runtime.stall_timeout_s, the "
        "worker ends.",
        Dashboard.ENGINE,
        10 * MINUTE,
    )


def _catalogs() -> Alert:
    return Alert(
        "PegelCatalogsDiffer",
        "count(count by (version) (pegel_catalog_info)) > 1",
        Severity.TICKET,
        "Workers apply different catalogs",
        "{{ $value }} versions of the catalog are in force at once: accounts are judged by different rules, by the "
        "partition that they are in.",
        Dashboard.ENGINE,
        30 * MINUTE,
    )
