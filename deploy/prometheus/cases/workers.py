"""Processes."""

from typing import Final

from deploy.prometheus.cases.case import Case, Firing
from deploy.prometheus.cases.samples import counter, gone, level
from deploy.prometheus.pace import MINUTE

READY: Final = "pegel_ready{stage='%s', instance='%s'}"
LAG: Final = "pegel_lag_records{stage='engagement', instance='%s', partition='%d'}"
SILENCE: Final = "pegel_broker_silence_seconds{stage='engagement', instance='%s'}"
SILENT_TEXT: Final = (
    "A worker of engagement heard nothing from Kafka for %s, and no other has taken over: what lies in its partitions "
    "stands still. Where it is all workers, the brokers are gone."
)
STARTED: Final = "process_start_time_seconds{job='pegel', instance='a'}"
MEMORY: Final = "process_resident_memory_bytes{job='pegel', instance='a'}"
DELAYS: Final = "pegel_loop_delay_seconds_%s{stage='engagement', instance='a'%s}"
CATALOG: Final = "pegel_catalog_info{stage='engagement', instance='%s', version='%s', name='ours'}"
GIB: Final = 2**30


def _delays(slow_a_minute: float) -> dict[str, str]:
    return {
        DELAYS % ("bucket", ", le='1.0'"): counter((30, 60), (40, 60 - slow_a_minute)),
        DELAYS % ("count", ""): counter((70, 60)),
    }


STAGE_DOWN: Final = (
    Case(
        "PegelStageDown",
        "pages when the last ready worker of a stage is gone",
        {
            READY % ("intake", "a"): level((60, 1)),
            READY % ("engagement", "b"): f"{level((30, 1))} {gone(30)}",
            READY % ("engagement", "c"): level((20, 1), (40, 0)),
        },
        40 * MINUTE,
        [
            Firing(
                "Of the 2 workers of engagement that were seen during the last 1d none is ready. Nothing is lost, "
                "but this stage stands still.",
                {"stage": "engagement"},
            )
        ],
    ),
    Case(
        "PegelStageDown",
        "is silent while one worker of a stage is ready",
        {
            READY % ("engagement", "b"): f"{level((30, 1))} {gone(30)}",
            READY % ("engagement", "c"): level((60, 1)),
        },
        45 * MINUTE,
    ),
    Case(
        "PegelStageDown",
        "is silent about a restart of four minutes, and a notifier that never was",
        {READY % ("engagement", "b"): level((30, 1), (5, 0), (26, 1))},
        34 * MINUTE,
    ),
)

UNOWNED: Final = (
    Case(
        "PegelPartitionsUnowned",
        "pages when nobody took a partition over",
        {
            LAG % ("a", 0): level((60, 0)),
            LAG % ("b", 1): f"{level((30, 0))} {gone(30)}",
            LAG % ("b", 2): f"{level((30, 0))} {gone(30)}",
            LAG % ("a", 1): f"{gone(33)} {level((27, 0))}",
        },
        40 * MINUTE,
        [
            Firing(
                "1 partitions of engagement were somebody's during the last 1d and are nobody's now: what lies in them "
                "stands still.",
                {"stage": "engagement"},
            )
        ],
    ),
    Case(
        "PegelPartitionsUnowned",
        "is silent when the other worker has all of them after a while",
        {
            LAG % ("a", 0): level((60, 0)),
            LAG % ("b", 1): f"{level((30, 0))} {gone(30)}",
            LAG % ("a", 1): f"{gone(40)} {level((20, 0))}",
        },
        39 * MINUTE,
    ),
)

SILENT: Final = (
    Case(
        "PegelBrokersSilent",
        "pages three minutes after the last answer, and goes on while the worker starts anew",
        {
            READY % ("engagement", "a"): f"{level((15, 1))} {gone(3)} {level((12, 0))}",
            SILENCE % "a": f"{level((10, 0))} 30 90 150 210 270 {gone(3)} {level((12, 0))}",
            READY % ("intake", "b"): level((30, 1)),
        },
        13 * MINUTE,
        [Firing(SILENT_TEXT % "3m 30s", {"stage": "engagement"})],
    ),
    Case(
        "PegelBrokersSilent",
        "still pages ten minutes later",
        {
            READY % ("engagement", "a"): f"{level((15, 1))} {gone(3)} {level((12, 0))}",
            SILENCE % "a": f"{level((10, 0))} 30 90 150 210 270 {gone(3)} {level((12, 0))}",
        },
        23 * MINUTE,
        [Firing(SILENT_TEXT % "4m 30s", {"stage": "engagement"})],
        before=None,
    ),
    Case(
        "PegelBrokersSilent",
        "is silent about brokers that were away for two and a half minutes",
        {READY % ("engagement", "a"): level((30, 1)), SILENCE % "a": f"{level((10, 0))} 30 90 150 {level((17, 0))}"},
        13 * MINUTE,
    ),
    Case(
        "PegelBrokersSilent",
        "is silent about a start a quarter of an hour after",
        {
            READY % ("engagement", "a"): level((20, 1), (10, 0)),
            SILENCE % "a": f"{level((3, 0))} 30 90 {level((25, 0))}",
        },
        25 * MINUTE,
    ),
    Case(
        "PegelBrokersSilent",
        "is silent once the worker is at work again",
        {
            READY % ("engagement", "a"): level((15, 1), (1, 0), (14, 1)),
            SILENCE % "a": f"{level((10, 0))} 30 90 150 210 270 {level((15, 0))}",
        },
        17 * MINUTE,
    ),
)

ONE_WORKER: Final = (
    Case(
        "PegelWorkerDown",
        "files a ticket for what does not answer",
        {"up{job='pegel', instance='a'}": level((5, 1), (20, 0)), "up{job='node', instance='n'}": level((25, 0))},
        15 * MINUTE,
        [
            Firing(
                "a of job pegel has not answered for 10m. Others have taken over its partitions, or "
                "PegelPartitionsUnowned and PegelStageDown say that they did not.",
                {"job": "pegel", "instance": "a"},
            )
        ],
    ),
    Case(
        "PegelWorkerDown",
        "is silent about a restart of nine minutes",
        {"up{job='pegel', instance='a'}": level((5, 1), (10, 0), (11, 1))},
        14 * MINUTE,
    ),
    Case(
        "PegelWorkerNotReady",
        "files a ticket for a load that does not get on",
        {
            READY % ("engagement", "a"): level((40, 0)),
            "pegel_restore_progress_ratio{stage='engagement', instance='a'}": "0+0.1x5 0.5+0x40",
        },
        30 * MINUTE,
        [
            Firing(
                "a answers, but for 15m it was neither at work nor getting on with loading its state.",
                {"stage": "engagement", "instance": "a"},
            )
        ],
    ),
    Case(
        "PegelWorkerNotReady",
        "is silent about a long load that gets on",
        {
            READY % ("engagement", "a"): level((40, 0)),
            "pegel_restore_progress_ratio{stage='engagement', instance='a'}": "0+0.01x45",
        },
        36 * MINUTE,
    ),
    Case(
        "PegelWorkerRestarting",
        "files a ticket for three restarts within half an hour",
        {STARTED: level((30, 1_000), (9, 2_000), (9, 3_000), (9, 4_000))},
        48 * MINUTE,
        [
            Firing(
                "a started 3 times within 30m. A worker that meets an unexpected error commits nothing more and ends "
                "with 70; why stands in the last lines of its log.",
                {"job": "pegel", "instance": "a"},
            )
        ],
    ),
    Case(
        "PegelWorkerRestarting",
        "is silent about two, as an upgrade and its correction make",
        {STARTED: level((30, 1_000), (9, 2_000), (18, 3_000))},
        52 * MINUTE,
    ),
    Case(
        "PegelMemoryNearLimit",
        "files a ticket above nine tenths of the limit",
        {MEMORY: level((5, 1.5 * GIB), (30, 1.95 * GIB))},
        20 * MINUTE,
        [
            Firing(
                "a takes 1.95GiB of 2048 MiB. At the limit it is killed, and so is whoever takes over its partitions.",
                {"job": "pegel", "instance": "a"},
            )
        ],
    ),
    Case(
        "PegelMemoryNearLimit",
        "is silent below it, and about a peak while state is loaded",
        {
            MEMORY: level((30, 1.75 * GIB)),
            "process_resident_memory_bytes{job='pegel', instance='b'}": level((5, 1.95 * GIB), (25, 1.5 * GIB)),
        },
        20 * MINUTE,
    ),
    Case(
        "PegelLoopStalls",
        "files a ticket for a stall every other minute",
        _delays(0.5),
        47 * MINUTE,
        [
            Firing(
                "The event loop of a was more than 1 s late 5 times within 10m. Too little processor, or swapping; for "
                "longer than runtime.stall_timeout_s, the worker ends.",
                {"stage": "engagement", "instance": "a"},
            )
        ],
    ),
    Case(
        "PegelLoopStalls",
        "is silent about one every four minutes",
        _delays(0.25),
        65 * MINUTE,
    ),
    Case(
        "PegelCatalogsDiffer",
        "files a ticket when two versions stay in force",
        {CATALOG % ("a", "v1"): level((60, 1)), CATALOG % ("b", "v2"): level((60, 1))},
        30 * MINUTE,
        [
            Firing(
                "2 versions of the catalog are in force at once: accounts are judged by different rules, by the "
                "partition that they are in."
            )
        ],
    ),
    Case(
        "PegelCatalogsDiffer",
        "is silent while a new one is taken over",
        {
            CATALOG % ("a", "v1"): f"{level((10, 1))} {gone(50)}",
            CATALOG % ("b", "v1"): f"{level((25, 1))} {gone(35)}",
            CATALOG % ("a", "v2"): f"{gone(10)} {level((50, 1))}",
            CATALOG % ("b", "v2"): f"{gone(25)} {level((35, 1))}",
        },
        40 * MINUTE,
    ),
)

ALWAYS: Final = Firing(
    "Always fires. The receiver of severity `heartbeat` must be a service that tells somebody when this stops "
    "coming: then Prometheus, Alertmanager or the way between them is broken, and no other alert can come."
)

CASES: Final = (
    *STAGE_DOWN,
    *UNOWNED,
    *SILENT,
    *ONE_WORKER,
    Case("PegelHeartbeat", "always fires", {}, MINUTE, [ALWAYS], before=[ALWAYS]),
)
