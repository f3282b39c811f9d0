"""`pegel dev`: what a developer needs beside Pegel."""

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from streams.cli import dev_run, dev_slack
from streams.cli.options import BootstrapOption, ConfigOption, loaded_settings, say

if TYPE_CHECKING:
    from streams.dev.broker import Broker

DEFAULT_PORT: Final = 9092
WATCH_S: Final = 1.0

app = typer.Typer(no_args_is_help=True)


@app.callback()
def dev() -> None:
    """Run what a developer needs: the whole on one machine, a broker or a Slack of one's own."""


app.command()(dev_run.run)
app.command()(dev_slack.slack)


@app.command()
def kafka(
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_535,
            help="Port on 127.0.0.1; default 9092, or any free one if that is taken.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="Keep the data here; without it they go with the broker.", show_default=False
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="docker|jars|mock", help="Use this kind of broker and no other.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Run a broker until Ctrl-C. The first line on standard output is its address.

    Takes the first that works: an address that is configured, Docker (apache/kafka), Apache Kafka's jars with Java,
    librdkafka's mock cluster.
    """
    from streams.dev.broker import STARTABLE, BrokerKind, broker_for  # noqa: PLC0415
    from streams.dev.ports import is_free  # noqa: PLC0415

    loaded = loaded_settings(config, bootstrap)
    given = loaded.settings.kafka.bootstrap if "kafka.bootstrap" in loaded.origins and kind is None else None
    names = [one.value for one in STARTABLE]
    if kind is not None and kind not in names:
        raise typer.BadParameter(f"{kind!r} is not one of {', '.join(names)}", param_hint="--kind")
    if port is not None and not is_free(port):
        raise typer.BadParameter(f"{port} is taken; name another, or leave --port out", param_hint="--port")
    kinds = STARTABLE if kind is None else (BrokerKind(kind),)
    chosen = port or (DEFAULT_PORT if is_free(DEFAULT_PORT) else None)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        with broker_for(say, given=given, kinds=kinds, folder=folder, port=chosen) as broker:
            sys.stdout.write(f"{broker.bootstrap}\n")
            sys.stdout.flush()
            say(f"{broker.kind} broker at {broker.bootstrap}; Ctrl-C ends it")
            _watch(broker)
    except KeyboardInterrupt:
        say("broker ended")


def _watch(broker: "Broker") -> NoReturn:
    """Return never: end by a signal, or with the broker."""
    while True:
        time.sleep(WATCH_S)
        if broker.process is not None and not broker.process.running:
            say(f"the broker ended by itself; see {broker.process.log_file}")
            raise typer.Exit(1)
