
"""How long a worker takes from its start until it is at work on a million accounts, and what an account weighs.

`python benchmarks/recovery.py [--accounts N] [--partitions N] [--deadlines]` starts a broker of its own, fills the
engagement stage's changelog with copies of a real account's state (the one of median size in the bundled data set),
starts one worker and watches its `/readyz`. With `--deadlines` the accounts' next deadlines are in no order, as they
are in life; without, they rise, which is the best case for the heap that holds them.
"""

import argparse
import gzip
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from confluent_kafka import Producer  # noqa: E402

from schemas.wire import decode_event  # noqa: E402
from streams.catalogs import load_catalog  # noqa: E402
from streams.dev.broker import BrokerKind, broker_for  # noqa: E402
from streams.dev.ports import free_ports  # noqa: E402
from streams.engagement import rows  # noqa: E402
from streams.engine.partition import Partition  # noqa: E402
from streams.engine.program import compile_catalog  # noqa: E402
from streams.engine.record import file_arrival  # noqa: E402
from streams.settings import KafkaSettings, Settings  # noqa: E402
from streams.topic_admin import TopicAdmin  # noqa: E402
from streams.topics import Topics, specs  # noqa: E402

EVENTS = ROOT / "deploy" / "demo" / "oss-activity.ndjson.gz"
DEADLINE_AT = struct.Struct(">q")
"""Where a state's next deadline stands: after one byte of version (`streams.engine.codec`)."""
FAR_MS = 4_102_444_800_000
READY_WITHIN_S = 600.0


def median_state() -> bytes:
    """The stored state of the account of median size."""
    partition = Partition(compile_catalog(load_catalog("oss")))
    with gzip.open(EVENTS) as lines:
        for line in lines:
            event = decode_event(line.strip())
            account = event.groupId or (event.context or {}).get("groupId")
            arrival_ms = file_arrival(event)
            if isinstance(account, str) and arrival_ms is not None:
                partition.apply(account, event, line.strip(), arrival_ms)
    states = sorted((stored for _, stored in partition.take_changes()), key=len)
    return states[len(states) // 2]


def fill(bootstrap: str, topic: str, state: bytes, accounts: int, partitions: int, *, shuffled: bool) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "compression.type": "lz4", "linger.ms": 20, "batch.size": 900_000}
    )
    rng = random.Random(1)
    version, tail = state[:1], state[1 + DEADLINE_AT.size :]
    for number in range(accounts):
        at = FAR_MS + (rng.randrange(10**10) if shuffled else number)
        value = version + DEADLINE_AT.pack(at) + tail
        while True:
            try:
                producer.produce(topic, value, rows.ACCOUNT + b"account-%08d.example" % number, number % partitions)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    assert left == 0, f"{left} rows were not written"


def readiness(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            page = answer.read()
    except urllib.error.HTTPError as error:
        page = error.read()
    except OSError:
        return {}
    found: dict[str, Any] = json.loads(page)
    return found


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) * 1024


def watched(settings: Settings, folder: Path) -> Iterator[tuple[float, dict[str, Any], int]]:
    """Run a worker until it is ready; every half second how long it has run, what it says, and its memory."""
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PEGEL_KAFKA__BOOTSTRAP": settings.kafka.bootstrap,
        "PEGEL_ENGAGEMENT__CATALOG": "oss",
    }
    command = [
        sys.executable, "-c", "from streams.cli import main; main()",
        "worker", "engagement", "--port", str(port),
    ]  # fmt: skip
    started = time.monotonic()
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=ROOT
        )
    try:
        while (elapsed_s := time.monotonic() - started) < READY_WITHIN_S:
            if worker.poll() is not None:
                raise SystemExit((folder / "worker.log").read_text())
            page = readiness(port)
            yield time.monotonic() - started, page, resident_bytes(worker.pid)
            if page.get("ready"):
                return
            time.sleep(0.5)
        raise SystemExit(f"not ready within {elapsed_s:.0f} s")
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--deadlines", action="store_true", help="deadlines in no order")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that worker and broker are ended too

    with (
        broker_for(say, kinds=(BrokerKind.JARS, BrokerKind.DOCKER)) as broker,
        tempfile.TemporaryDirectory() as name,
    ):
        settings = Settings(kafka=KafkaSettings(bootstrap=broker.bootstrap, partitions=arguments.partitions))
        TopicAdmin(settings.kafka).apply(specs(settings))
        *_, (empty_s, _, empty_bytes) = watched(settings, Path(name))
        say(f"without state: ready after {empty_s:.1f} s, {empty_bytes >> 20} MiB")

        state = median_state()
        topic = Topics(settings.kafka.topic_prefix).accounts_changelog
        fill(broker.bootstrap, topic, state, arguments.accounts, arguments.partitions, shuffled=arguments.deadlines)
        say(f"{arguments.accounts:,} accounts of {len(state)} bytes are in {topic}")
        for ready_s, page, bytes_now in watched(settings, Path(name)):
            say(f"{ready_s:5.1f} s {bytes_now >> 20:5} MiB {json.dumps(page.get('loading'))}")
        each = (bytes_now - empty_bytes) / arguments.accounts
        say((Path(name) / "worker.log").read_text())
        say(f"ready after {ready_s:.1f} s; {bytes_now >> 20} MiB, {each:.0f} bytes an account")


if __name__ == "__main__":
    main()
