"""The demo, from an empty machine to messages in Slack: broker, topics, workers, a stand-in for Slack, events.

    publish (history at full speed, then the last days fast) ─▶ Kafka ─▶ four workers ─▶ Slack stand-in
                                                                  └────▶ the board shows what comes out

All times in the data set are moved by one constant, so that its end is now. The clock follows the log while the demo
runs: time passes there as fast as events are published. Every part is the product's own; nothing here decides anything
about segments. What was started is ended in reverse order, whatever happens.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.transition import WireTransition
from streams.dev.broker import broker_for
from streams.dev.demo.board import Board
from streams.dev.demo.sources import WorkerPages, wait_until, watch_topics
from streams.dev.ports import ports_in_a_row
from streams.dev.slack import SlackStandIn
from streams.errors import ExpectedError
from streams.publish.pace import Pace
from streams.publish.publisher import Progress, PublishOrder, publish
from streams.publish.record import KeyKind
from streams.settings import Settings
from streams.topic_admin import TopicAdmin
from streams.topics import Topics, specs

STAGES: Final = ("intake", "engagement", "router", "courier")
READY_TIMEOUT_S: Final = 90.0
SETTLE_TIMEOUT_S: Final = 180.0
SETTLED_LOOKS: Final = 5
WORKERS_END_S: Final = 15.0
FIGURES_EVERY_S: Final = 1.0
KEPT_MESSAGES: Final = 2_000


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to play: `last_ms` is the stretch at the end that plays at `speed`."""

    events: Path
    playbook: Path
    catalog: str = "oss"
    speed: float = 20_000.0
    last_ms: int = 7 * 86_400_000
    once: bool = False


class Demo:
    """One run. `board` may be read at any time under `lock`."""

    def __init__(
        self,
        settings: Settings,
        given_broker: str | None,
        options: DemoOptions,
        say: Callable[[str], None],
        on_transition: Callable[[WireTransition], None],
    ) -> None:
        self._settings = settings
        self._given_broker = given_broker
        self._options = options
        self._say = say
        self._on_transition = on_transition
        self._failures: list[BaseException] = []
        self._workers: subprocess.Popen[bytes] | None = None
        self.board = Board()
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.worker_log = Path()

    def run(self) -> bool:
        """Run to the end (`once`), or until `stop`. Returns whether all went well; blocks."""
        with ExitStack() as stack:
            broker = stack.enter_context(broker_for(self._say, given=self._given_broker))
            if not broker.is_real:
                raise ExpectedError("the demo needs real Kafka: Docker, or Java and Maven, or --bootstrap HOST:PORT")
            self._say(f"{broker.kind} broker at {broker.bootstrap}")
            settings = self._settings_at(broker.bootstrap, shared=self._given_broker is not None)
            TopicAdmin(settings.kafka).apply(specs(settings))
            slack = stack.enter_context(_slack(self._on_message))
            self._say(f"Slack stand-in: http://127.0.0.1:{slack.port}/")
            ports = dict(zip(STAGES, ports_in_a_row(len(STAGES)), strict=True))
            pages = WorkerPages(ports)
            self.worker_log = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pegel-demo-"))) / "log"
            stack.enter_context(self._running_workers(settings, slack, ports))
            stack.enter_context(self._thread(self._watch, settings))
            stack.enter_context(self._thread(self._read_figures, pages))
            self._phase("workers start")
            if not wait_until(lambda: pages.is_ready() or self._is_over(), READY_TIMEOUT_S, self.stop):
                return self._ended(f"the workers were not ready within {READY_TIMEOUT_S:.0f} s")
            stack.enter_context(self._thread(self._publish, settings))
            self._follow(pages)
            return self._ended(None)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _settings_at(self, bootstrap: str, *, shared: bool) -> Settings:
        """On a broker of somebody's, the demo keeps to topics of its own."""
        kafka = self._settings.kafka.model_copy(
            update={
                "bootstrap": bootstrap,
                "topic_prefix": f"demo-{int(time.time())}." if shared else self._settings.kafka.topic_prefix,
                "session_timeout_ms": 6_000,
                "heartbeat_interval_ms": 1_500,
            }
        )
        return self._settings.model_copy(update={"kafka": kafka})

    @contextmanager
    def _running_workers(self, settings: Settings, slack: SlackStandIn, ports: dict[str, int]) -> Iterator[None]:
        kafka, options = settings.kafka, self._options
        environment = {
            **os.environ,
            "PEGEL_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "PEGEL_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
            "PEGEL_KAFKA__SESSION_TIMEOUT_MS": str(kafka.session_timeout_ms),
            "PEGEL_KAFKA__HEARTBEAT_INTERVAL_MS": str(kafka.heartbeat_interval_ms),
            "PEGEL_INTAKE__ALIGNMENT_MS": "0",  # an account's events are in one partition here
            "PEGEL_ENGAGEMENT__CATALOG": options.catalog,
            "PEGEL_ENGAGEMENT__CLOCK": "log",
            "PEGEL_NOTIFY__PLAYBOOKS": str(options.playbook),
            "PEGEL_NOTIFY__MAX_AGE_H": str(options.last_ms / 3_600_000),
            "PEGEL_SLACK_WEBHOOK_URL": slack.url("customer-success"),
            "PEGEL_WEB__PORT": str(ports[STAGES[0]]),
            "PEGEL_LOG__FORMAT": "text",  # its end is shown if a worker ends
        }
        command = [sys.executable, "-c", "from streams.cli import main; main()", "worker", "all"]
        with self.worker_log.open("wb") as log:
            # The command is ours, the environment the caller's own; a session of its own keeps Ctrl-C to the demo.
            self._workers = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            self._phase("workers end")
            _end(self._workers)

    def _watch(self, settings: Settings) -> None:
        topics = Topics(settings.kafka.topic_prefix)
        watch_topics(settings.kafka, topics, self.board, self.lock, self.stop, self._on_transition)

    def _read_figures(self, pages: WorkerPages) -> None:
        before, at = 0.0, time.monotonic()
        while not self.stop.wait(FIGURES_EVERY_S):
            applied, lag, now = pages.metric("engagement", "pegel_records_total"), pages.lag(), time.monotonic()
            with self.lock:
                figures = self.board.figures
                figures.applied, figures.lag = int(applied), lag
                figures.applied_per_s = max(0.0, applied - before) / (now - at)
            before, at = applied, now

    def _publish(self, settings: Settings) -> None:
        options = self._options
        order = PublishOrder(
            [str(options.events)],
            Topics(settings.kafka.topic_prefix).product_events,
            key=KeyKind.ACCOUNT,
            pace=Pace(options.speed, options.last_ms),
            shift_to_now=True,
        )
        self._phase("publishing")
        result = publish(settings.kafka, order, on_progress=self._on_progress, stop=self.stop)
        with self.lock:
            self.board.figures.published = result.delivered
        self._phase("published")
        if not result.complete and not self.stop.is_set():
            raise ExpectedError(f"not every event was published: {result.bad_lines or result.failed}")

    def _follow(self, pages: WorkerPages) -> None:
        """Until `stop`; with `once`, until everything that was published has come out at the end."""
        looks, give_up_at = 0, None
        while not self._is_over() and not self.stop.wait(0.5):
            if self._options.once and self.board.figures.phase == "published":
                give_up_at = give_up_at or time.monotonic() + SETTLE_TIMEOUT_S
                idle = pages.lag() == 0 and pages.metric("courier", "pegel_open_deliveries") == 0
                looks = looks + 1 if idle else 0
                if looks >= SETTLED_LOOKS:
                    return
                if time.monotonic() > give_up_at:
                    self._failures.append(ExpectedError(f"work was left after {SETTLE_TIMEOUT_S:.0f} s"))
                    return

    # -- what happens --------------------------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        return bool(self._failures) or (self._workers is not None and self._workers.poll() is not None)

    def _ended(self, problem: str | None) -> bool:
        workers = self._workers
        if workers is not None and workers.poll() is not None:
            problem = f"the workers ended by themselves (exit status {workers.returncode})"
        for failure in self._failures:
            problem = str(failure)
        self.stop.set()
        if problem is not None:
            tail = self.worker_log.read_text(errors="replace").splitlines()[-15:]
            self._say("\n".join([problem, *tail]))
        return problem is None

    @contextmanager
    def _thread(self, work: Callable[[Any], None], argument: Any) -> Iterator[None]:
        """Work beside the main thread; what goes wrong there ends the demo."""

        def guarded() -> None:
            try:
                work(argument)
            except Exception as error:  # noqa: BLE001 - told by `_ended`, which ends with a failure
                self._failures.append(error)

        thread = threading.Thread(target=guarded, name=work.__name__, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join(WORKERS_END_S)

    def _phase(self, phase: str) -> None:
        with self.lock:
            self.board.figures.phase = phase

    def _on_progress(self, progress: Progress) -> None:
        with self.lock:
            figures = self.board.figures
            figures.published = progress.delivered

    def _on_message(self, text: str) -> None:
        with self.lock:
            self.board.add_message(text)


@contextmanager
def _slack(on_message: Callable[[str], None]) -> Iterator[SlackStandIn]:
    """The stand-in, in a loop and thread of its own."""
    loop = asyncio.new_event_loop()
    stand_in = SlackStandIn(kept_max=KEPT_MESSAGES, on_message=lambda message: on_message(message.text))
    thread = threading.Thread(target=loop.run_forever, name="slack", daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(stand_in.start(), loop).result()
    try:
        yield stand_in
    finally:
        asyncio.run_coroutine_threadsafe(stand_in.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(WORKERS_END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
