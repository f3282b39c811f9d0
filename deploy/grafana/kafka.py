"""The runtime: groups, transactions, and the processes themselves."""

from collections.abc import Iterator

from deploy.grafana.board import Board, Kind, Limits, Panel, Query, Row, Unit, ours, quantile, rate
from deploy.prometheus.pipeline import FLUSH_S
from deploy.prometheus.rules import Dashboard, Site
from deploy.prometheus.workers import SILENT_S

BY_PROCESS = "{{job}} {{instance}}"
LOOP_S = 0.5
"""The event loop is late by so much only if something blocks it, or the machine is short of CPU."""


def board() -> Board:
    return Board(
        Dashboard.KAFKA.value,
        "Pegel: Kafka and processes",
        "Are groups at rest, transactions quick and processes well?",
        (
            Row("Are the groups at rest?", tuple(_groups())),
            Row("Are the brokers quick?", tuple(_brokers())),
            Row("Are the processes well?", tuple(_processes())),
        ),
    )


def _groups() -> Iterator[Panel]:
    yield Panel(
        "Is every partition somebody's?",
        "Partitions that workers work on, by stage: each line should be the number of partitions.",
        Unit.COUNT,
        (Query("sum by (stage) (pegel_partitions)", "{{stage}}"),),
    )
    yield Panel(
        "Does a group find no rest?",
        "Times that partitions were revoked in ten minutes.",
        Unit.COUNT,
        (Query("sum by (stage) (increase(pegel_rebalances_total[10m]))", "{{stage}}"),),
    )
    yield Panel(
        "Which workers are ready?",
        "Workers whose partitions are loaded and at work, by stage.",
        Unit.COUNT,
        (Query("sum by (stage) (pegel_ready)", "{{stage}}"), Query("count by (stage) (pegel_ready)", "{{stage}}, all")),
    )


def _brokers() -> Iterator[Panel]:
    yield Panel(
        "Do the brokers answer?",
        "For how long the partition that has waited longest heard nothing, by stage. Above the line it pages.",
        Unit.SECONDS,
        (Query("max by (stage) (pegel_broker_silence_seconds)", "{{stage}}"),),
        limits=Limits(SILENT_S),
    )
    yield Panel(
        "How long do transactions take to commit?",
        "Median and 99th percentile over all stages.",
        Unit.SECONDS,
        tuple(Query(quantile(share, "pegel_commit_duration_seconds"), f"{share:.0%}") for share in (0.5, 0.99)),
        limits=Limits(FLUSH_S),
    )
    yield Panel(
        "How many flushes are there?",
        "One transaction each, by stage.",
        Unit.PER_SECOND,
        (Query(rate("pegel_flush_duration_seconds_count", "stage"), "{{stage}}"),),
    )
    yield Panel(
        "What is written, by topic?",
        "Records a second.",
        Unit.PER_SECOND,
        (Query(rate("pegel_outputs_total", "topic"), "{{topic}}"),),
    )
    yield Panel(
        "How much state is written?",
        "Rows a second that go to changelogs, by stage.",
        Unit.PER_SECOND,
        (Query(rate("pegel_changelog_rows_total", "stage"), "{{stage}}"),),
    )
    yield Panel(
        "How much is read when state is loaded?",
        "Changelog rows a second; far more than there are rows of state: the changelog is not compacted.",
        Unit.PER_SECOND,
        (Query(rate("pegel_restored_rows_total", "stage"), "{{stage}}"),),
    )


def _processes() -> Iterator[Panel]:
    yield Panel(
        "Is every process scraped?",
        "0: Prometheus does not reach it. One that is gone altogether is missing here.",
        Unit.TIMES,
        (Query(f'up{{job=~"{Site().jobs}"}}', BY_PROCESS),),
        Kind.NUMBER,
        Limits(1, less_is_worse=True),
        12,
        words=((0, "down"), (1, "up")),
    )
    yield Panel(
        "Why do workers end?",
        "Failures counted between the failure and the end of the process; a scrape may miss them, the log does not.",
        Unit.COUNT,
        (Query("sum by (stage, reason) (pegel_failures_total) > 0", "{{stage}} {{reason}}", rare=True),),
        width=12,
    )
    yield Panel(
        "Is CPU short?",
        "Share of one core that each process uses. Python runs on one: near 1 it is the bottleneck.",
        Unit.RATIO,
        (Query(ours("rate(process_cpu_seconds_total[$__rate_interval])"), BY_PROCESS),),
        limits=Limits(0.9, 0.7),
    )
    yield Panel(
        "How much memory do they take?",
        "Resident memory of each process.",
        Unit.BYTES,
        (Query(ours("process_resident_memory_bytes"), BY_PROCESS),),
    )
    yield Panel(
        "Does something block the event loop?",
        "99th percentile of how much later than it should it came back to a timer.",
        Unit.SECONDS,
        (Query(quantile(0.99, "pegel_loop_delay_seconds", "stage"), "{{stage}}"),),
        limits=Limits(LOOP_S),
    )
    yield Panel(
        "Since when do they run?",
        "Lines that fall to 0 together were a roll-out, one that does so again and again is a crash loop.",
        Unit.SECONDS,
        (Query(ours("time() - process_start_time_seconds"), BY_PROCESS),),
    )
    yield Panel(
        "Do file descriptors run out?",
        "Share of those allowed that are open.",
        Unit.RATIO,
        (Query(ours("process_open_fds / process_max_fds"), BY_PROCESS),),
        limits=Limits(0.8),
    )
    yield Panel(
        "Does the collector get the traces?",
        "Spans by what became of them, where records are traced; lost ones harm nothing else.",
        Unit.PER_SECOND,
        (Query(rate("pegel_spans_total", "outcome"), "{{outcome}}"),),
    )
