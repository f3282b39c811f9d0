"""Intake and engagement, partition by partition: where is it slow, and why."""

from collections.abc import Iterator
from typing import Final

from deploy.grafana.board import Board, Kind, Limits, Panel, Query, Row, Unit, quantile, rate
from deploy.prometheus.canary import UNSEEN_S
from deploy.prometheus.pipeline import FLUSH_S, LAG_S, OVERDUE_S
from deploy.prometheus.rules import Dashboard
from deploy.prometheus.slos import FRESH_S, FRESH_STAGE

ENGAGEMENT: Final = f'stage="{FRESH_STAGE}"'
BY_PARTITION: Final = "{{stage}} {{partition}}"


def board() -> Board:
    return Board(
        Dashboard.ENGINE.value,
        "Pegel: engagement and partitions",
        "Where is it slow or behind, in which partition, and does time still move accounts?",
        (
            Row("Which partition is behind?", tuple(_partitions())),
            Row("Does time pass?", tuple(_time())),
            Row("What is applied, and what is not?", tuple(_records())),
            Row("What does a flush cost?", tuple(_flushes())),
            Row("How large is the state?", tuple(_state())),
        ),
    )


def _partitions() -> Iterator[Panel]:
    yield Panel(
        "How long do records wait?",
        "Age of the oldest record that was not applied, by partition.",
        Unit.SECONDS,
        (Query("max by (stage, partition) (pegel_lag_seconds)", BY_PARTITION),),
        limits=Limits(LAG_S, LAG_S / 10),
    )
    yield Panel(
        "How many records wait?",
        "Records that can be read but were not applied, by partition. One that grows alone is a hot account, or a "
        "partition that nobody has.",
        Unit.COUNT,
        (Query("sum by (stage, partition) (pegel_lag_records)", BY_PARTITION),),
    )
    yield Panel(
        "Since when does the canary wait, by partition?",
        "It has an account in each partition of the log: a line that rises alone is a partition that stands still.",
        Unit.SECONDS,
        (Query("time() - max by (partition) (pegel_canary_partition_seen_timestamp_seconds)", "{{partition}}"),),
        limits=Limits(UNSEEN_S, UNSEEN_S / 3),
    )
    yield Panel(
        "How old are transitions when they become visible?",
        "How many fell into each bucket. Two clouds are two causes.",
        Unit.SECONDS,
        (
            Query(
                f"sum by (le) (increase(pegel_freshness_seconds_bucket{{{ENGAGEMENT}}}[$__rate_interval]))", "{{le}}",
                exemplars=True,
            ),
        ),
        Kind.HEAT,
        width=12,
    )  # fmt: skip
    yield Panel(
        "Which stage takes the time?",
        "99th percentile of the age of what each stage writes.",
        Unit.SECONDS,
        (Query(quantile(0.99, "pegel_freshness_seconds", "stage"), "{{stage}}"),),
        limits=Limits(FRESH_S),
        width=12,
    )


def _time() -> Iterator[Panel]:
    yield Panel(
        "How far is event time behind the clock?",
        "Of the slowest partition; 0 where all was read and nothing is due.",
        Unit.SECONDS,
        (Query("max(pegel_watermark_delay_seconds)", "delay"),),
        limits=Limits(OVERDUE_S),
    )
    yield Panel(
        "Do deadlines fire in time?",
        "By how much the oldest deadline that should have fired is late: trials that end, customers who fall silent.",
        Unit.SECONDS,
        (Query("max(pegel_overdue_seconds)", "oldest"),),
        limits=Limits(OVERDUE_S),
    )
    yield Panel(
        "How many deadlines fire, wait, and are overdue?",
        "Waiting ones are harmless; overdue ones are not.",
        Unit.COUNT,
        (
            Query("sum(pegel_pending_deadlines)", "waiting"),
            Query("sum(pegel_overdue_deadlines)", "overdue"),
            Query("sum(increase(pegel_deadlines_total[5m]))", "fired in 5 min"),
        ),
    )


def _records() -> Iterator[Panel]:
    yield Panel(
        "What reaches accounts?",
        "Records read, and events of them that were applied to an account.",
        Unit.EVENTS_PER_SECOND,
        (
            Query(rate("pegel_records_total", "stage", 'stage=~"intake|engagement"'), "{{stage}} reads"),
            Query(rate("pegel_applied_total"), "applied"),
            Query(rate("pegel_suppressed_total"), "of those erased"),
        ),
    )
    yield Panel(
        "How do events find their account?",
        "Events that only the user's earlier group calls place depend on intake's memory of users.",
        Unit.EVENTS_PER_SECOND,
        (Query(rate("pegel_accounts_resolved_total", "by"), "{{by}}"),),
        stacked=True,
    )
    yield Panel(
        "Which bounds are met?",
        "Entries dropped because a collection was full, and what was cut or ignored.",
        Unit.PER_SECOND,
        (
            Query(rate("pegel_evicted_total", "collection") + " > 0", "evicted {{collection}}", rare=True),
            Query(rate("pegel_cut_total", "what") + " > 0", "cut {{what}}", rare=True),
            Query(rate("pegel_ignored_total", "what") + " > 0", "ignored {{what}}", rare=True),
        ),
    )
    yield Panel(
        "Which control records arrive?",
        "The clock, the day's percentiles and the sketches they are made of, catalogs, erasures.",
        Unit.PER_SECOND,
        (Query(rate("pegel_controls_total", "control"), "{{control}}"),),
        width=12,
    )
    yield Panel(
        "What is held back?",
        "Records fetched but kept until other partitions come up to them, and partitions waited for no longer.",
        Unit.COUNT,
        (
            Query("sum by (stage) (pegel_held_records)", "{{stage}} holds"),
            Query(rate("pegel_overlooked_partitions_total", "stage") + " > 0", "{{stage}} overlooks", rare=True),
        ),
        width=12,
    )


def _flushes() -> Iterator[Panel]:
    yield Panel(
        "How long does a flush take?",
        f"99th percentile, by stage. Above {FLUSH_S:g} s the brokers are slow, or a flush is too large.",
        Unit.SECONDS,
        (Query(quantile(0.99, "pegel_flush_duration_seconds", "stage"), "{{stage}}"),),
        limits=Limits(FLUSH_S),
    )
    yield Panel(
        "How much of it is the commit?",
        "99th percentile of the time until the broker says that the transaction is complete.",
        Unit.SECONDS,
        (Query(quantile(0.99, "pegel_commit_duration_seconds", "stage"), "{{stage}}"),),
        limits=Limits(FLUSH_S),
    )
    yield Panel(
        "How much goes into a flush?",
        "Median and 99th percentile of outputs and changelog rows.",
        Unit.COUNT,
        tuple(
            Query(quantile(share, "pegel_flush_records", "stage"), f"{{{{stage}}}} {share:.0%}")
            for share in (0.5, 0.99)
        ),
    )


def _state() -> Iterator[Panel]:
    yield Panel(
        "How many rows?",
        "Accounts of engagement, users of intake.",
        Unit.COUNT,
        (Query("sum by (stage) (pegel_state_rows)", "{{stage}}"),),
        width=6,
    )
    yield Panel(
        "How many bytes?",
        "As they were last stored: what a load reads at least.",
        Unit.BYTES,
        (Query("sum by (stage) (pegel_state_bytes)", "{{stage}}"),),
        width=6,
    )
    yield Panel(
        "Is state being loaded?",
        "From 0 to 1; 1 when nothing loads. The least of each stage.",
        Unit.RATIO,
        (Query("min by (stage) (pegel_restore_progress_ratio)", "{{stage}}"),),
        limits=Limits(1, less_is_worse=True),
        width=6,
    )
    yield Panel(
        "How long does a load take?",
        "The last one of each worker: so long it is away when it restarts.",
        Unit.SECONDS,
        (Query("max by (stage) (pegel_restore_seconds)", "{{stage}}"),),
        width=6,
    )
