"""`pegel dump`: a topic as lines."""

import sys
from itertools import islice
from typing import Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, say, settings_for

app = typer.Typer()


@app.command()
def dump(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Name of a topic, with or without prefix.")],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning/--from-end", help="Where to start; from the end only with --follow.")
    ] = True,
    partition: Annotated[
        list[int] | None,
        typer.Option(
            "--partition", min=0, metavar="N", help="Only this partition; may be repeated.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--max", min=1, metavar="N", help="Stop after so many records.", show_default=False)
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new records until Ctrl-C.")] = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Write the committed records of a topic to standard output, one JSON envelope a line, as kcat -J does.

    Ends at the topic's end as it was at the start. Partitions come one after the other, each in offset order;
    'pegel replay' reads the lines back.
    """
    from streams.dumping import TopicReader, line_of  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    if not from_beginning and not follow:
        raise typer.BadParameter("--from-end without --follow would write nothing", param_hint="--from-end")
    settings = settings_for(config, bootstrap)
    name = Topics(settings.kafka.topic_prefix).named(topic)
    reader = TopicReader(settings.kafka, name, partition)
    count = 0
    try:
        for message in islice(reader.records(from_beginning=from_beginning, follow=follow), limit):
            sys.stdout.buffer.write(line_of(message) + b"\n")
            count += 1
            if follow:
                sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        if not follow:
            raise
    sys.stdout.buffer.flush()
    say(f"{count} records of {name}")
