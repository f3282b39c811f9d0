"""`pegel worker`: run a stage, or several.

`all` and `notifier` start a process per stage: each has its own event loop (Python runs one at a time in a process), a
stage that is killed or fails takes no other's memory with it, and what runs on a laptop is what runs in production. The
parent only watches. When one ends, all end, with the exit status of the one that failed; the children of a parent that
was killed get SIGTERM from the system (Linux).
"""

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated, Final, Literal

import typer

from streams.cli.options import BootstrapOption, ConfigOption, settings_for

app = typer.Typer()


class StageName(StrEnum):
    INTAKE = "intake"
    ENGAGEMENT = "engagement"
    ROUTER = "router"
    COURIER = "courier"
    NOTIFIER = "notifier"
    ALL = "all"


FAMILIES: Final = {
    StageName.NOTIFIER: (StageName.ROUTER, StageName.COURIER),
    StageName.ALL: (StageName.INTAKE, StageName.ENGAGEMENT, StageName.ROUTER, StageName.COURIER),
}


@app.command()
def worker(
    stage: Annotated[
        StageName,
        typer.Argument(help="What to run; notifier: router and courier, all: all four, as separate processes."),
    ],
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    instance_id: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Fixed name of this worker (static membership; also PEGEL_RUNTIME__INSTANCE_ID).",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Port of /metrics, /livez and /readyz; 0 takes a free one and says so. With notifier and all: the "
            "first of as many.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        Literal["auto", "json", "text"] | None,
        typer.Option(
            "--log-format",
            help="How to write the log (also PEGEL_LOG__FORMAT).",
            show_default=False,
        ),
    ] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run until SIGTERM or Ctrl-C: stop reading, commit, leave; a second signal ends at once.

    Exit status: 0 after a signal, 70 after a failure (restart it: it resumes from what was committed).
    """
    settings = settings_for(
        config, bootstrap, runtime={"instance_id": instance_id}, web={"port": port}, log={"format": log_format}
    )
    from streams.runtime import logs  # noqa: PLC0415

    logs.configure(stage.value, settings.log.format, settings.log.level)
    if stage in FAMILIES:
        from streams.runtime.family import Child, run_family  # noqa: PLC0415

        names = [one.value for one in FAMILIES[stage]]
        children = [
            Child(
                name,
                _command(
                    name,
                    {
                        "--config": config,
                        "--bootstrap": bootstrap,
                        "--instance-id": instance_id,
                        "--port": settings.web.port + place * bool(settings.web.port),
                        "--log-format": log_format,
                        "--parent": os.getpid(),
                    },
                ),
            )
            for place, name in enumerate(names)
        ]
        sys.exit(run_family(children, settings.runtime.shutdown_timeout_s))

    from streams import log_events  # noqa: PLC0415
    from streams.app import build_worker  # noqa: PLC0415
    from streams.engine.rules.errors import CatalogError  # noqa: PLC0415
    from streams.errors import InvalidSchemaError  # noqa: PLC0415
    from streams.runtime import family  # noqa: PLC0415

    if parent is not None:
        family.die_with(parent)
    log_events.WORKER_STARTS.tell(version=version("pegel"))
    try:
        ready = build_worker(stage.value, settings)
    except CatalogError as error:
        raise InvalidSchemaError(str(error)) from None
    exit_code = ready.run()
    log_events.write_out()
    # Not sys.exit: threads that a failed stop left behind must not keep the process alive.
    os._exit(exit_code)


def _command(stage: str, options: Mapping[str, object]) -> list[str]:
    """The same command line for one stage. Everything else comes from the environment, which is inherited."""
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    return [sys.executable, "-c", "from streams.cli import main; main()", "worker", stage, *given]
