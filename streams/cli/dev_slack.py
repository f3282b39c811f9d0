"""`pegel dev slack`: a Slack on this machine, to see messages before there is a real one."""

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import say

if TYPE_CHECKING:
    from streams.dev.slack import StoredMessage


def slack(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 is any free one.")] = 0,
    keep: Annotated[int, typer.Option(min=1, max=100_000, help="How many messages to keep.")] = 200,
    rate_limit: Annotated[
        bool,
        typer.Option("--rate-limit/--no-rate-limit", help="Allow one message a second and channel, as Slack does."),
    ] = True,
) -> None:
    """Run a stand-in for Slack until Ctrl-C. The first line on standard output is the webhook's URL.

    Each message is printed, kept for /messages (JSON), and shown on a page at /.
    """
    try:
        asyncio.run(_serve(port, keep, rate_limit=rate_limit))
    except OSError as error:
        say(f"port {port}: {error.strerror}; take another --port, or none")
        raise typer.Exit(1) from None


async def _serve(port: int, keep: int, *, rate_limit: bool) -> None:
    from streams.dev.slack import SlackStandIn  # noqa: PLC0415 - slow to import

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with SlackStandIn(port, rate_limited=rate_limit, kept_max=keep, on_message=_print) as stand_in:
        sys.stdout.write(stand_in.url() + "\n")
        sys.stdout.flush()
        say(f"messages are shown at http://127.0.0.1:{stand_in.port}/")
        await stopped.wait()


def _print(message: "StoredMessage") -> None:
    lines = [part for text in message.lines or (message.text,) for part in text.splitlines()]
    printable = "".join(c if c.isprintable() else " " for c in " / ".join(lines))
    sys.stdout.write(f"{message.received_at[11:19]} #{message.channel} {printable}\n")
    sys.stdout.flush()
