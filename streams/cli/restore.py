"""`pegel restore`: a dumped log back into Kafka."""

from typing import Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, say, settings_for

app = typer.Typer()


@app.command()
def restore(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Dumps of account.events.v1, plain or gzip."),
    ],
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Put dumps of account.events.v1 back into the empty topic, with keys, arrival times and control records.

    Every record goes to the partition where it was. To change the number of partitions give one file per old
    partition: each account then goes where its key belongs now. What to do afterwards: docs/operations.md.
    """
    from streams.rebuild.restore import restore as put_back  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    done = put_back(settings, files)
    left_out = f", {done.left_out} control records are not needed" if done.left_out else ""
    say(f"{done.records} records are back at {settings.kafka.bootstrap}{left_out}")
