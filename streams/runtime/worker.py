"""The life of one worker: one stage, one process, one event loop.

    health pages up -> wait for brokers and topics -> join the group -> work ... -> one of three ends

========================  ===========================================================================  =========
end                       what happens                                                                 exit code
========================  ===========================================================================  =========
SIGTERM, SIGINT           stop fetching, flush, commit, leave the group                                0
a second signal           end at once                                                                  128 + n
failure (``FailStop``)    nothing more is committed; leave the group so that others take over quickly  70
it hangs (``watchdog``)   end at once                                                                  70
========================  ===========================================================================  =========

Both orderly ends race against a timer that ends the process hard: every end is safe, since what counts was committed.
"""

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from streams import log_events
from streams.metric_registry import Metrics
from streams.runtime import logs, memory
from streams.runtime.acked import AckedLoader, AckedWriter
from streams.runtime.assignment import Assignment
from streams.runtime.changelog import ChangelogLoader
from streams.runtime.export import Exporter
from streams.runtime.failure import EXIT_FAILED, EXIT_OK, FailReason, FailStop, RuntimeFailure, named
from streams.runtime.faust_app import ConsumerGroup, StageApp
from streams.runtime.flush import Flusher
from streams.runtime.health import health_server
from streams.runtime.membership import Membership
from streams.runtime.options import Guarantee, RuntimeOptions
from streams.runtime.preflight import check_topics, refusal_now
from streams.runtime.stage import StageSpec
from streams.runtime.ticks import tick_for_ever
from streams.runtime.transaction import TransactionalWriter, WriterFactory
from streams.runtime.vitals import Vitals
from streams.runtime.watchdog import Watchdog, end_after, rules_for
from streams.tracing.outbox import SpanOutbox
from streams.tracing.spans import Topic
from streams.tracing.writer import TracedWriter

GOODBYE_S: Final = 5.0
"""After a failure: for leaving the group. Before it, nothing is flushed."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A stage and how to run it."""

    spec: StageSpec
    options: RuntimeOptions
    spans: SpanOutbox | None = None
    """Where spans go, if records are to be traced."""

    def run(self) -> int:
        """Run until a signal or a failure; return the exit code. The caller should exit with it at once."""
        try:
            return asyncio.run(_Life(self.spec, self.options, self.spans).live())
        finally:
            if self.spans is not None:
                self.spans.close()


class StopSignal:
    """The first signal asks, the second one does not.

    Python runs the handler itself, whatever the event loop does: a loop that hangs must not make a worker deaf. So the
    time-out of the stop counts from the signal, not from when the loop hears of it.
    """

    def __init__(self, shutdown_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._seen = False
        self._shutdown_timeout_s = shutdown_timeout_s

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: object) -> None:
        name = signal.Signals(number).name
        if self._seen:
            log_events.SIGNALLED_AGAIN.tell(signal=name)
            log_events.write_out()
            os._exit(128 + number)
        self._seen = True
        log_events.SIGNALLED.tell(signal=name)
        end_after(self._shutdown_timeout_s, FailReason.SHUTDOWN_STUCK)
        if not self._loop.is_closed():  # else it has ended already
            self._loop.call_soon_threadsafe(self._asked.set)

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    async def wait(self) -> None:
        await self._asked.wait()


class _Life:
    """Everything that one worker consists of. Must be used inside of ``asyncio.run``, once."""

    def __init__(self, spec: StageSpec, options: RuntimeOptions, spans: SpanOutbox | None) -> None:
        self._spec = spec
        self._options = options
        self._spans = spans

    async def live(self) -> int:
        spec, options = self._spec, self._options
        metrics = Metrics(spec.name, {"topic": spec.output_topics, **spec.metric_words})
        exporter = Exporter(metrics)
        vitals, stop = Vitals(exporter.note_loop_delay), StopSignal(options.shutdown_timeout_s)
        stop.install()

        def on_fail(reason: FailReason) -> None:
            logs.hush()
            exporter.note_failure(reason)

        failure = FailStop(on_fail)
        group = ConsumerGroup(Membership(options.session_timeout_ms, options.instance_id, failure))
        new_writer, loader = durability(spec, options, group)
        if self._spans is not None:
            self._spans.note = exporter.note_spans
            new_writer = traced(new_writer, spec, options, self._spans)
        assignment = Assignment(
            spec.factory,
            new_writer,
            loader,
            Flusher(options.flush_interval_ms, failure, exporter.note_flush),
            exporter,
            spec.alignment,
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                health_server(options.web_host, options.web_port, metrics, assignment, failure)
            )
            if not await _unless_stopped(check_topics(spec, options), stop):
                return EXIT_OK
            if spec.lifespan is not None:
                await stack.enter_async_context(spec.lifespan())
            app = StageApp(options, spec.input_topic, assignment, failure, vitals, group)
            background = [
                _watched(vitals.beat(), failure),
                _watched(tick_for_ever(assignment, failure), failure),
                _watched(exporter.export_for_ever(assignment), failure),
            ]
            watchdog = Watchdog(rules_for(assignment, vitals, options.stall_timeout_s, options.silence_timeout_s))
            watchdog.start()
            memory.settle()
            exit_code = await self._work(app, failure, stop)
            watchdog.stop()
            for task in background:
                task.cancel()
            return exit_code

    async def _work(self, app: StageApp, failure: FailStop, stop: StopSignal) -> int:
        started = asyncio.create_task(app.start())
        ends = [
            asyncio.create_task(failure.wait()),
            asyncio.create_task(stop.wait()),
            asyncio.create_task(_crash_of(app, started, failure)),
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()
        if not failure.failed:
            await self._stop(app, failure)
        else:
            # Armed until the process is gone, as a signal does: asyncio.run and the threads of Faust may hang as well.
            end_after(self._options.shutdown_timeout_s, FailReason.SHUTDOWN_STUCK)
            await self._give_up(app)
            if (refusal := await refusal_now(self._spec, self._options)) is not None:
                log_events.WORKER_REFUSED.tell(reason=refusal)
        started.cancel()
        return EXIT_FAILED if failure.failed else EXIT_OK

    async def _stop(self, app: StageApp, failure: FailStop) -> None:
        try:
            app.consumer.stop_flow()
            await app.assignment.suspend()
            await app.stop()
            await app.assignment.close()
            log_events.STOPPED.tell()
        except Exception as error:  # noqa: BLE001 - whatever it is, this stop was not clean
            failure.fail(FailReason.SHUTDOWN_STUCK, error)

    async def _give_up(self, app: StageApp) -> None:
        """Leave the group if that is quickly done. Flushes refuse by now."""
        try:
            await asyncio.wait_for(app.stop(), GOODBYE_S)
        except Exception as error:  # noqa: BLE001 - the failure that matters was logged; this one is about manners
            log_events.NOT_LEFT.tell(error=named(error))


def traced(new_writer: WriterFactory, spec: StageSpec, options: RuntimeOptions, spans: SpanOutbox) -> WriterFactory:
    """Writers that say what became of traced records."""
    topic = Topic(spec.input_topic, options.group)
    return lambda partition: TracedWriter(new_writer(partition), spec.name, topic, partition, spans.give, spans.lose)


def durability(spec: StageSpec, options: RuntimeOptions, group: ConsumerGroup) -> tuple[WriterFactory, ChangelogLoader]:
    """The one place where the guarantee makes a difference: who writes state, and who reads it back."""
    topics = spec.input_topic, spec.changelog_topic
    if options.guarantee is Guarantee.EXACTLY_ONCE:

        def new_transactional(partition: int) -> TransactionalWriter:
            return TransactionalWriter(options, *topics, partition, spec.output_topics)

        return new_transactional, ChangelogLoader(options, *topics)
    writers: dict[int, AckedWriter] = {}

    def new_writer(partition: int) -> AckedWriter:
        writer = writers[partition] = AckedWriter(options, *topics, partition, group)
        return writer

    return new_writer, AckedLoader(options, *topics, writers.__getitem__)


def _watched(work: Coroutine[Any, Any, None], failure: FailStop) -> asyncio.Task[None]:
    """Run in the background; its end by an error is the worker's end."""

    def on_done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            failure.fail(FailReason.RUNTIME, error)

    task = asyncio.create_task(work)
    task.add_done_callback(on_done)
    return task


async def _unless_stopped(work: Coroutine[Any, Any, None], stop: StopSignal) -> bool:
    """Wait for work or the stop signal; say whether the work was done."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([doing, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if doing.done():
        doing.result()
        return True
    doing.cancel()
    return False


async def _crash_of(app: StageApp, started: asyncio.Task[Any], failure: FailStop) -> None:
    """Return when Faust has given up; the reason is latched."""
    crashed = asyncio.create_task(app._crashed.wait())  # noqa: SLF001 - mode has no public way to wait for it
    waiting: set[asyncio.Task[Any]] = {crashed, started}
    while not crashed.done():
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            waiting.discard(started)
            if not started.cancelled() and (error := started.exception()) is not None:
                failure.fail(FailReason.FAUST, error)
                return
    failure.fail(FailReason.FAUST, app.crash_reason or RuntimeFailure("Faust crashed without a reason"))
