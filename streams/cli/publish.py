"""`pegel publish`: files of events into Kafka."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.bad_lines import BadLines
from streams.cli.options import BootstrapOption, ConfigOption, say, settings_for

if TYPE_CHECKING:
    from streams.publish.publisher import Progress, PublishOrder, PublishResult
    from streams.publish.record import KeyKind


app = typer.Typer()


@app.command()
def publish(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="NDJSON, plain or gzip; - is standard input.")],
    speed: Annotated[
        str, typer.Option(metavar="60x|max", help="So many times faster than it happened, or as fast as possible.")
    ] = "max",
    pace_last: Annotated[
        str | None,
        typer.Option(
            "--pace-last",
            metavar="7d",
            help="Keep --speed only for the last stretch of this length; what is older goes at full speed.",
            show_default=False,
        ),
    ] = None,
    shift_to_now: Annotated[
        bool,
        typer.Option(
            "--shift-to-now",
            help="Move all times in the events by one constant, so that the last one arrives when publishing ends.",
        ),
    ] = False,
    key: Annotated[
        str, typer.Option(metavar="user|account", help="Whose id is the key: of the user, or of the account.")
    ] = "user",
    topic: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Topic, with or without prefix; default product.events.v1.", show_default=False
        ),
    ] = None,
    trace: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Trace so many of the records, as 0.01 or 1 (docs/logs-and-traces.md)."
        ),
    ] = 0.0,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Publish events from files, with the time at which each arrived as its Kafka timestamp.

    Waits until Kafka has every record. Lines that cannot be published are reported and skipped; then it exits with 1.
    """
    from streams.publish.publisher import PublishOrder  # noqa: PLC0415
    from streams.publish.publisher import publish as publish_files  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415
    from streams.tracing.configured import span_outbox  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    topics = Topics(settings.kafka.topic_prefix)
    name = topics.product_events if topic is None else topics.named(topic)
    order = PublishOrder(
        files,
        name,
        key=_key_kind(key),
        pace=_pace(speed, pace_last, shift_to_now),
        shift_to_now=shift_to_now,
        trace_share=trace,
    )
    spans = span_outbox(settings.tracing, os.environ, "pegel-publish") if trace else None
    with _progress(order) as on_progress:
        result = publish_files(
            settings.kafka,
            order,
            on_progress=on_progress,
            on_bad_line=BadLines().refused,
            stop=_stopped_by_signal(),
            spans=spans,
        )
    if spans is not None:
        spans.close()
    _summarise(result, order.topic)
    raise typer.Exit(0 if result.complete else 1)


def _key_kind(text: str) -> "KeyKind":
    from streams.publish.record import KeyKind  # noqa: PLC0415

    try:
        return KeyKind(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(KeyKind)}", param_hint="--key") from None


def _pace(speed: str, pace_last: str | None, shift_to_now: bool) -> Any:
    from streams.publish.pace import Pace, parse_duration_ms, parse_speed  # noqa: PLC0415

    try:
        factor = parse_speed(speed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--speed") from None
    if shift_to_now and factor is not None and factor < 1:
        raise typer.BadParameter("a speed below 1x cannot be shifted to now", param_hint="--speed")
    if pace_last is None:
        return Pace(factor)
    if factor is None:
        raise typer.BadParameter("needs a --speed such as 60x", param_hint="--pace-last")
    try:
        return Pace(factor, parse_duration_ms(pace_last))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--pace-last") from None


def _stopped_by_signal() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set: what was sent is still waited for. A second one ends at once."""
    stop = threading.Event()

    def end(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop


@contextmanager
def _progress(order: "PublishOrder") -> "Iterator[Callable[[Progress], None]]":
    """A bar over the input with throughput, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn(f"publish {order.topic}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("publish", total=None, rate="")

        def update(progress: "Progress") -> None:
            total = None if progress.fraction is None else 1.0
            speed = _rate(progress.delivered, progress.elapsed_s)
            rate = f"{progress.delivered:,} records, {speed}/s, {progress.elapsed_s:.0f} s"
            bar.update(task, total=total, completed=progress.fraction or 0.0, rate=rate)

        yield update


def _rate(count: int, elapsed_s: float) -> str:
    return f"{count / elapsed_s:,.0f}" if elapsed_s > 0 else "0"


def _summarise(result: "PublishResult", topic: str) -> None:
    mib_per_s = result.bytes_delivered / max(result.elapsed_s, 1e-9) / (1 << 20)
    say(
        f"published {result.delivered} records to {topic} in {result.elapsed_s:.1f} s "
        f"({_rate(result.delivered, result.elapsed_s)} records/s, {mib_per_s:.1f} MiB/s)"
    )
    if result.traces:
        say(f"traces, the first ones: {', '.join(result.traces)}")
    if result.bad_lines:
        say(f"bad lines: {result.bad_lines.total()} ({_counts(result.bad_lines)})")
    if result.failed:
        say(f"not taken by Kafka: {result.failed.total()} ({_counts(result.failed)})")
    if result.broken_off is not None:
        say(result.broken_off)
    if result.stopped:
        say("stopped before the end of the input")


def _counts(counted: Any) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in counted.most_common())
