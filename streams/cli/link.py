"""`pegel link`: signed links in messages, and the service that they lead to."""

import asyncio
import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import BootstrapOption, ConfigOption, say, settings_for
from streams.errors import ExpectedError, KafkaRefusedError, KafkaUnreachableError, SettingsError

if TYPE_CHECKING:
    from streams.links.token import Keys
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.callback()
def link() -> None:
    """Sign links, and follow them: clicks come back as events."""


@app.command()
def key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="A name for the key, such as k1 or 2026-03.")],
) -> None:
    """Make a key. To rotate, put it in front of the others in links.keys; take one out when its links have expired."""
    from streams.links.token import LinkError, new_key  # noqa: PLC0415 - slow to import, and `--help` needs none

    try:
        sys.stdout.write(new_key(key_id) + "\n")
    except LinkError as error:
        raise typer.BadParameter(str(error), param_hint="ID") from None


@app.command()
def sign(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Where the links lead; http or https.")],
    account: Annotated[str, typer.Option(metavar="ID", help="The account whose event a click is.")],
    delivery: Annotated[str, typer.Option(metavar="TEXT", help="What tells this sending from others.")] = "by-hand",
    play: Annotated[str, typer.Option(metavar="ID", help="The play that it belongs to.")] = "by-hand",
    config: ConfigOption = None,
) -> None:
    """Write a signed link for each address, for messages that no play sends."""
    from streams.links.configured import signer  # noqa: PLC0415 - as above
    from streams.links.signing import Addressee  # noqa: PLC0415
    from streams.links.token import LinkError  # noqa: PLC0415

    found = signer(settings_for(config).links)
    if found is None:
        raise SettingsError("links.base_url and links.keys: both are needed to sign; see pegel config show")
    to = Addressee(delivery, play, account, time.time_ns() // 1_000_000)
    for url in urls:
        try:
            sys.stdout.write(found.signed(url, to) + "\n")
        except LinkError as error:
            raise typer.BadParameter(f"{url!r}: {error}", param_hint="URL") from None


@app.command()
def show(
    signed: Annotated[str, typer.Argument(metavar="LINK", help="A signed link, or the token at its end.")],
    config: ConfigOption = None,
) -> None:
    """Say what a link leads to and whom it was sent to; exit with 1 if it is not followed."""
    from schemas.timestamps import format_ms  # noqa: PLC0415 - as above
    from streams.links.configured import link_keys  # noqa: PLC0415
    from streams.links.token import Refusal, verify  # noqa: PLC0415

    found = verify(signed.rpartition("/")[2], link_keys(settings_for(config).links), time.time())
    if isinstance(found, Refusal):
        raise ExpectedError(f"the link is not followed: {found.value}")
    row = {
        "url": found.url, "account_id": found.account_id, "play": found.play, "delivery_id": found.delivery_id,
        "expires_at": format_ms(found.expires_at_s * 1_000),
    }  # fmt: skip
    sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; put a proxy with TLS in front.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 is any free one.")] = 8090,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Follow signed links until Ctrl-C; the first line on standard output is the address.

    Each click is the event pegel_link_clicked in product.events.v1. Requests of HEAD, prefetches and robots are
    followed and not counted. While Kafka is away links work, and clicks wait in a queue that has a limit.
    """
    from streams.links.configured import link_keys  # noqa: PLC0415 - as above
    from streams.runtime import logs  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    keys = link_keys(settings.links)
    logs.configure("links", settings.log.format, settings.log.level)
    try:
        asyncio.run(_serve(settings, keys, host, port))
    except OSError as error:
        raise SettingsError(f"{host}:{port}: {error.strerror or error}; take another --host or --port") from None


async def _serve(settings: "Settings", keys: "Keys", host: str, port: int) -> None:
    from streams.kafka_client import Complaints, producer, reaching  # noqa: PLC0415 - as above
    from streams.links.clicks import QUEUED_EVENTS_MAX, Clicks  # noqa: PLC0415
    from streams.links.server import LinkService  # noqa: PLC0415
    from streams.metric_registry import Metrics  # noqa: PLC0415
    from streams.publish.publisher import producer_config, require_topic  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    topic = Topics(settings.kafka.topic_prefix).product_events
    metrics = Metrics("link")
    limits = {"queue.buffering.max.messages": QUEUED_EVENTS_MAX}
    client = producer(settings.kafka, Complaints(), {**producer_config(), **limits})
    try:
        with reaching(settings.kafka) as complaints:
            require_topic(client, settings.kafka, complaints, topic)
    except KafkaRefusedError:
        raise
    except KafkaUnreachableError as error:  # a link that leads nowhere is worse than a click that nobody counts
        say(f"{error}; until it does, links work and clicks wait")
    clicks = Clicks(client, topic, metrics)
    service = LinkService(keys, clicks.record, metrics, lambda: time.time_ns() // 1_000_000)
    async with service.served(host, port) as address:
        sys.stdout.write(f"{address}/\n")
        sys.stdout.flush()
        say(f"clicks go to {topic}; Ctrl-C ends")
        await _until_stopped(asyncio.ensure_future(clicks.reports()))
    await clicks.close()


async def _until_stopped(reports: "asyncio.Future[None]") -> None:
    """Until a signal, or until delivery reports fail, which is a fault of ours."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    waiting = asyncio.ensure_future(stopped.wait())
    both: set[asyncio.Future[Any]] = {waiting, reports}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if reports.done():
        reports.result()
    reports.cancel()
