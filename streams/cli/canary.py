"""`pegel canary`: accounts that cross a segment on schedule, to show that the whole way works."""

import asyncio
import json
import secrets
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for
from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.canary.watch import Verdict
    from streams.settings import Settings

app = typer.Typer()

RUN_ID_BYTES = 4


@app.command()
def canary(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Port of /metrics, /livez and /readyz; 0 takes a free one and says so.",
            show_default=False,
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="One crossing in and out per partition, and how it went.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Publish events of reserved accounts, one per partition, and measure when their transitions are visible.

    Runs until Ctrl-C. One at a time: a second one works with the same accounts. Nobody is told of them, and no
    percentile counts them. With --once it ends by itself, and with 1 if a crossing was missed or wrong.
    """
    settings = settings_for(config, bootstrap, web={"port": port})
    if settings.engagement.clock == "log":
        raise SettingsError("engagement.clock: log; the canary's events are of now, and would be the log's newest time")
    if once:
        raise typer.Exit(_once(settings, as_json=as_json))
    from streams.runtime import logs  # noqa: PLC0415 - slow to import, and `--help` needs none

    logs.configure("canary", settings.log.format, settings.log.level)
    asyncio.run(_serve(settings))


async def _serve(settings: "Settings") -> None:
    from streams.canary.accounts import SERVICE  # noqa: PLC0415 - as above
    from streams.canary.service import Canary, serve  # noqa: PLC0415
    from streams.metric_registry import Metrics  # noqa: PLC0415

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    service = Canary(settings, SERVICE, secrets.token_hex(RUN_ID_BYTES), Metrics("canary"))
    try:
        await serve(service, settings.web.host, settings.web.port, stopped)
    except OSError as error:
        where = f"{settings.web.host}:{settings.web.port}"
        raise SettingsError(f"{where}: {error.strerror or error}; take another web.host or --port") from None


def _once(settings: "Settings", *, as_json: bool) -> int:
    from streams.canary.once import look  # noqa: PLC0415 - as above
    from streams.canary.watch import Outcome  # noqa: PLC0415

    bad = 0

    def tell(verdict: "Verdict") -> None:
        nonlocal bad
        bad += verdict.outcome is not Outcome.SEEN
        seconds = None if verdict.seconds is None else round(verdict.seconds, 3)
        row = {
            "partition": verdict.partition, "account_id": verdict.account, "outcome": verdict.outcome.value,
            "reason": verdict.reason.value, "seconds": seconds,
        }  # fmt: skip
        text = f"partition {verdict.partition:>4}  {verdict.outcome:<6}  {verdict.reason}  {seconds} s"
        sys.stdout.write((json.dumps(row) if as_json else text) + "\n")

    if not look(settings, secrets.token_hex(RUN_ID_BYTES), tell):
        say("not every crossing could be tried: see the lines above")
        return 1
    say("every crossing was seen" if not bad else f"{bad} crossings were missed or wrong")
    return 1 if bad else 0
