"""`python -m benchmarks.comparison`: the job on each engine in turn, on a broker of its own; see README.md."""

import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from benchmarks.comparison.engines import CATALOG, MAVEN_PROJECT, Engine, Place, engines
from benchmarks.comparison.equality import UnequalError, replayed
from benchmarks.comparison.results import measured, table, write
from benchmarks.comparison.running import ASK_TIMEOUT_S, EngineFailedError, Job, Outcome, run
from benchmarks.load import ten_segments
from benchmarks.rig import Interpreter, say
from streams.dev.broker import Broker, BrokerKind, broker_for

ACCOUNT_EVENTS: Final = 30
"""Events per account over the thirty days of the load."""
DEFAULT_ENGINES: Final = "pegel,faust,kafka-streams"
COMPACTION_LAG_MS: Final = 20 * 365 * 86_400_000
"""Longer than the events are old: some engines stamp their changelog with the events' times."""
POM: Final = "{http://maven.apache.org/POM/4.0.0}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("--events", type=int, default=300_000, help="an account has about 30 of them")
    parser.add_argument("--engines", default=DEFAULT_ENGINES, help="names, separated by commas")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--warm", type=float, default=1 / 3, help="the share of the events that is not counted")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs Pegel")
    parser.add_argument("--dry", action="store_true", help="print the table, and leave RESULTS.md as it is")
    chosen = parser.parse_args()
    interpreter = Interpreter.of(chosen.python)
    known = engines(interpreter)
    names = list(dict.fromkeys(chosen.engines.split(",")))
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such engine: {', '.join(unknown)}; there are {', '.join(known)}")
    if not (chosen.runs >= 1 and 0 < chosen.warm < 1):
        parser.error("--runs is at least 1, --warm between 0 and 1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that engine and broker are ended too

    selected = [known[name] for name in names]
    for engine in selected:
        engine.prepare()
    with _broker() as (broker, folder):
        jobs = {share: _job(chosen.events // share, folder) for share in {engine.share for engine in selected}}
        outcomes = _outcomes(selected, jobs, broker, folder, runs=chosen.runs, warm=chosen.warm)
    rows = [measured(engine, jobs[engine.share], outcomes[engine.name]) for engine in selected]
    sys.stdout.write(table(rows) + "\n")
    if not chosen.dry:
        # Without --python: where an interpreter lies is nobody's business, but whether it has the compiled engine is.
        asked = ["--events", str(chosen.events), "--engines", ",".join(names), "--runs", str(chosen.runs)]
        versions = {**_versions(), "Pegel's engine": "compiled" if interpreter.is_compiled else "interpreted"}
        write(rows, shlex.join(["python", "-m", "benchmarks.comparison", *asked]), versions, chosen.warm)


@contextmanager
def _broker() -> Iterator[tuple[Broker, Path]]:
    """A broker from jars, whose files are at hand: how much an engine stores is read from them."""
    with (
        tempfile.TemporaryDirectory(prefix="pegel-comparison-") as name,
        broker_for(say, kinds=(BrokerKind.JARS,), folder=Path(name)) as broker,
    ):
        _leave_uncompacted(broker.bootstrap)
        yield broker, Path(name)


def _leave_uncompacted(bootstrap: str) -> None:
    """Else what an engine has written could not be told from what is left of it."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    lag = ConfigEntry("log.cleaner.min.compaction.lag.ms", str(COMPACTION_LAG_MS))
    lag.incremental_operation = AlterConfigOpType.SET
    brokers = admin.list_topics(timeout=ASK_TIMEOUT_S).brokers
    resources = [ConfigResource(ResourceType.BROKER, str(number), incremental_configs=[lag]) for number in brokers]
    for future in admin.incremental_alter_configs(resources).values():
        future.result(ASK_TIMEOUT_S)


def _job(events: int, folder: Path) -> Job:
    accounts = max(100, events // ACCOUNT_EVENTS)
    file = folder / f"{events}.ndjson"
    with file.open("wb") as out:
        out.writelines(event.raw + b"\n" for event in ten_segments(events, accounts))
    say(f"replaying {events:,} events of {accounts:,} accounts: what is to come out")
    return Job(events, accounts, replayed(file, CATALOG))


def _outcomes(
    selected: list[Engine], jobs: dict[int, Job], broker: Broker, folder: Path, *, runs: int, warm: float
) -> dict[str, list[Outcome]]:
    """In turn, so that a machine's moods hit all alike."""
    found: dict[str, list[Outcome]] = {engine.name: [] for engine in selected}
    for number in range(runs):
        for engine in selected:
            scratch = folder / f"{engine.name}-{number}"
            scratch.mkdir()
            place = Place(broker.bootstrap, f"{engine.name}-{number}.", scratch)
            try:
                outcome = run(engine, jobs[engine.share], broker, place, folder / "kafka" / "log", warm)
            except (EngineFailedError, UnequalError) as error:
                raise SystemExit(f"{engine.name}: {error}") from None
            found[engine.name].append(outcome)
            span = outcome.span
            say(
                f"{engine.name}: {span.cpu_s_per_million:.1f} CPU s per million events, {span.events_per_s:,.0f} "
                f"events/s, {outcome.transitions:,} transitions as expected"
            )
    return found


def _versions() -> dict[str, str]:
    pom = ET.parse(MAVEN_PROJECT / "pom.xml")  # noqa: S314 - our own file
    streams = pom.findtext(f".//{POM}dependency[{POM}artifactId='kafka-streams']/{POM}version") or "unknown"
    return {
        "Pegel": version("pegel"),
        "Faust": version("faust-streaming"),
        "Kafka Streams": streams,
        "Python": sys.version.split()[0],
    }


if __name__ == "__main__":
    main()
