"""`pegel explain`: one account's story, from files or from the log itself."""

import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streams.cli.bad_lines import BadLines
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, settings_for
from streams.cli.progress import PROGRESS_EVERY_LINES, reading
from streams.cli.simulation import program_of_catalog, time_of
from streams.errors import ExpectedError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.engine.account import Account
    from streams.engine.working import Working
    from streams.replay.lines import Line
    from streams.replay.run import Replay
    from streams.replay.story import Story
    from streams.settings import Settings

app = typer.Typer()

DEFAULT_CATALOG: Final = "default"


@app.command()
def explain(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="NDJSON, plain or gzip; - is standard input.", show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="As of then (RFC 3339); without it, as of the newest arrival.", show_default=False
        ),
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option(
            "--catalog",
            metavar="NAME|FILE",
            help="Rules: a built-in's name or a YAML file. Without it, those the log names, else default.",
            show_default=False,
        ),
    ] = None,
    from_kafka: Annotated[
        bool, typer.Option("--from-kafka", help="Read the account's partition of account.events.v1, not files.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Show the whole timeline and every segment's rules.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Tell the story of one account: where it was and why, where it is, and what would change that."""
    from streams.intake.identity_settings import identity_of  # noqa: PLC0415 - as all imports here: `--help` needs none
    from streams.replay.run import Replay  # noqa: PLC0415

    if bool(files) is from_kafka:
        raise SettingsError("name files to read, or --from-kafka: one of the two")
    at_ms = time_of(at, "--at")
    settings = settings_for(config, bootstrap)
    program = program_of_catalog(catalog or DEFAULT_CATALOG)
    # Where accounts are ranked among all and nobody has written the percentiles down, all accounts are needed.
    alone = from_kafka or not program.slots.ranked
    run = Replay(
        program,
        identity_of(settings.intake).take,
        at_ms,
        follow_catalog=catalog is None,
        takes=(lambda one: one == account) if alone else None,
    )
    if from_kafka:
        _read_kafka(run, settings, account)
    else:
        _read_files(run, files or [])
    told = _story(run, account, at_ms)
    if as_json:
        import msgspec  # noqa: PLC0415

        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()
        return
    from streams.cli.story import show  # noqa: PLC0415

    show(told, every=every)


def _story(run: "Replay", account_id: str, at_ms: int | None) -> "Story":
    from streams.replay.story import story_of  # noqa: PLC0415

    end_ms = at_ms if at_ms is not None else run.arrivals[1] if run.arrivals is not None else None
    transitions = [one for one in run.finish(end_ms) if one.account_id == account_id]
    found = _found(run, account_id)
    if found is None or end_ms is None:
        raise _unknown(run, account_id)
    account, working = found
    return story_of(account_id, account, working, transitions, max(end_ms, account.now))


def _found(run: "Replay", account_id: str) -> "tuple[Account, Working] | None":
    for partition in run.partitions:
        found = partition.account(account_id)
        if found is not None:
            return found
    return None


def _unknown(run: "Replay", account_id: str) -> ExpectedError:
    known = run.seen_accounts
    if account_id in known:
        return ExpectedError(f"nothing is known of account {account_id!r}: it was erased, or none of its events counts")
    close = get_close_matches(account_id, sorted(known), n=1, cutoff=0)
    others = f"but {len(known)} others; did you mean {close[0]!r}?" if close else "nor any other"
    return ExpectedError(f"there is no account {account_id!r} in what was read, {others}")


def _read_files(run: "Replay", files: list[str]) -> None:
    from streams.replay.lines import LineReader  # noqa: PLC0415

    try:
        reader = LineReader(files)
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}; name a file that can be read") from None
    with reading(reader, "explain") as advance:
        _take(run, reader, advance)


def _read_kafka(run: "Replay", settings: "Settings", account_id: str) -> None:
    """The partition where the account belongs; the others too if it is not there, for a writer may have chosen so."""
    from streams.runtime.partitioner import partition_of  # noqa: PLC0415
    from streams.topic_admin import TopicAdmin  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    topic = Topics(settings.kafka.topic_prefix).account_events
    state = TopicAdmin(settings.kafka).read([topic]).get(topic)
    count = settings.kafka.partitions if state is None else state.partitions
    home = partition_of(account_id.encode(), count)
    _take(run, _lines(settings, topic, [home]))
    if _found(run, account_id) is None and count > 1:
        _take(run, _lines(settings, topic, [number for number in range(count) if number != home]))


def _lines(settings: "Settings", topic: str, partitions: list[int]) -> "Iterator[Line]":
    from streams.dumping import TopicReader, line_of  # noqa: PLC0415
    from streams.replay.lines import Line  # noqa: PLC0415

    for message in TopicReader(settings.kafka, topic, partitions).records():
        yield Line(f"{topic}[{message.partition()}]", message.offset(), line_of(message))


def _take(run: "Replay", lines: "Iterable[Line]", advance: "Callable[[], None]" = lambda: None) -> None:
    from schemas.dead_letter import Rejected  # noqa: PLC0415

    bad = BadLines()
    for count, line in enumerate(lines):
        if count % PROGRESS_EVERY_LINES == 0:
            advance()
        try:
            run.feed(line)
        except Rejected as rejected:
            bad.refused(line.place, str(rejected))
