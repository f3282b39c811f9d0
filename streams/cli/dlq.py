"""`pegel dlq`: records that were refused. Look at them, try them again, drop them."""

import getpass
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.moments import past
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for
from streams.errors import ExpectedError, SettingsError

if TYPE_CHECKING:
    from streams.dead_letters.letters import Letter, Selection
    from streams.dead_letters.marks import Action, Place
    from streams.dead_letters.settle import Order, Settled
    from streams.settings import Settings
    from streams.topics import Topics

app = typer.Typer(no_args_is_help=True)

PROGRESS_EVERY_LETTERS: Final = 500
DETAIL_CHARS_SHOWN: Final = 80
KEY_CHARS_SHOWN: Final = 32
VALUE_BYTES_SHOWN: Final = 16 << 10
HEX_BYTES_SHOWN: Final = 1 << 10
HEX_BYTES_A_LINE: Final = 16

TopicArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[TOPIC]",
        help="product, account or transitions, or a topic's name; nothing: all three.",
        show_default=False,
    ),
]
ReasonOption = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="WORD", help="Only refused for this; may be repeated.", show_default=False),
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Refused then or later: RFC 3339, or 2h, 3d ago.", show_default=False),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Refused before that.", show_default=False)
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first so many.", show_default=False)
]
IdOption = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="TOPIC:PARTITION:OFFSET", help="Only this one; may be repeated.", show_default=False),
]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who does it; else the user's name.", show_default=False)
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.callback()
def dlq() -> None:
    """Look at records that were refused, try them again, drop them."""


@app.command("list")
def list_letters(
    topic: TopicArgument = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    every: Annotated[bool, typer.Option("--all", help="Those too that were retried or dropped, and when.")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Only count, by topic, state and reason.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """List dead letters, oldest first in each partition: the open ones."""
    from dataclasses import replace  # noqa: PLC0415

    from streams.dead_letters.store import Store  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    selection = replace(_selection(settings, topic, (), reason, since, until), every_state=every)
    store = Store(settings.kafka)
    letters = _watched(store.letters(selection, store.marks(selection)))
    chosen = islice((letter for letter in letters if selection.fits(letter)), limit)
    if summary:
        _write_summary(chosen, as_json=as_json)
        return
    count = 0
    for letter in chosen:
        count += 1
        sys.stdout.write((json.dumps(_row(letter), ensure_ascii=False) if as_json else _line(letter)) + "\n")
    say(f"{count} dead letters" + ("" if every else ", open"))


@app.command()
def show(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="product, account or transitions, or a name.")],
    partition: Annotated[int, typer.Argument(min=0, metavar="PARTITION", help="Of the dead letter itself.")],
    offset: Annotated[int, typer.Argument(min=0, metavar="OFFSET", help="Of the dead letter itself.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the original value as it is, and nothing else.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Show one dead letter with its headers and its value, as text or in hex."""
    from streams.dead_letters.marks import Place  # noqa: PLC0415
    from streams.dead_letters.store import Store  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    place = Place(_dead_letter_topic(settings, topic), partition, offset)
    letter = Store(settings.kafka).letter(place)
    if letter is None:
        raise ExpectedError(f"there is no dead letter {place}; 'pegel dlq list --all' names those that are")
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
    elif as_json:
        from base64 import b64encode  # noqa: PLC0415

        value = None if letter.value is None else b64encode(letter.value).decode()
        headers = [[name, None if content is None else b64encode(content).decode()] for name, content in letter.headers]
        row = {**_row(letter), "value_base64": value, "headers_base64": headers}
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _page(letter)))


@app.command()
def retry(
    topic: TopicArgument = None,
    ids: IdOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for 'list --all'.")] = "",
    by: ByOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Write original records to their topics once more: key, bytes, headers and timestamp as they were.

    Each dead letter once, whatever fails and however often this is run. What is refused again comes back as a new
    dead letter that knows since when. A transition is not told again to all, only the delivery that failed.
    """
    from streams.dead_letters.marks import Action  # noqa: PLC0415
    from streams.dead_letters.settle import Order  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    _require_some(topic, ids, reason)
    selection = _selection(settings, topic, ids or [], reason, since, until)
    _settle(settings, Order(Action.RETRIED, selection, by or getpass.getuser(), note, limit), dry_run=dry_run, yes=yes)


@app.command()
def drop(
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for 'list --all'.", show_default=False)],
    topic: TopicArgument = None,
    ids: IdOption = None,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    by: ByOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Mark dead letters as done with: they are listed as open no more. The records stay as long as their topic does."""
    from streams.dead_letters.marks import Action  # noqa: PLC0415
    from streams.dead_letters.settle import Order  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    _require_some(topic, ids, reason)
    selection = _selection(settings, topic, ids or [], reason, since, until)
    _settle(settings, Order(Action.DROPPED, selection, by or getpass.getuser(), note, limit), dry_run=dry_run, yes=yes)


# -- which ones ------------------------------------------------------------------------------------------------------


def _require_some(topic: str | None, ids: list[str] | None, reason: list[str] | None) -> None:
    if topic is None and not ids and not reason:
        raise SettingsError("say which: a topic (product, account, transitions), --id or --reason")


def _selection(
    settings: "Settings",
    topic: str | None,
    ids: Iterable[str],
    reasons: list[str] | None,
    since: str | None,
    until: str | None,
) -> "Selection":
    from schemas.dead_letter import RejectReason  # noqa: PLC0415
    from streams.dead_letters.letters import Selection, sources  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    unknown = sorted(set(reasons or ()) - set(RejectReason))
    if unknown:
        raise SettingsError(f"--reason {unknown[0]} is none; there are: {', '.join(RejectReason)}")
    places = [_place(settings, one) for one in ids]
    if topic is not None:
        topics = [_dead_letter_topic(settings, topic)]
    elif places:
        topics = sorted({place.topic for place in places})
    else:
        topics = list(sources(Topics(settings.kafka.topic_prefix)))
    return Selection(
        topics=topics,
        places=frozenset(places),
        every_state=bool(places),  # who names one wants to know what became of it
        reasons=frozenset(RejectReason(word) for word in reasons or ()),
        since_ms=past(since, "--since"),
        until_ms=past(until, "--until"),
    )


def _place(settings: "Settings", text: str) -> "Place":
    from streams.dead_letters.marks import Place  # noqa: PLC0415

    place = Place.parse(text)
    if place is None:
        raise SettingsError(f"--id {text} is none; as in product:3:128, after what 'pegel dlq list' writes first")
    return Place(_dead_letter_topic(settings, place.topic), place.partition, place.offset)


def _short_names(topics: "Topics") -> dict[str, str]:
    return {
        "product": topics.product_events_dlq,
        "account": topics.account_events_dlq,
        "transitions": topics.transitions_dlq,
    }


def _dead_letter_topic(settings: "Settings", name: str) -> str:
    from streams.dead_letters.letters import sources  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    topics = Topics(settings.kafka.topic_prefix)
    known = _short_names(topics)
    for letters, source in sources(topics).items():
        known |= {letters: letters, source: letters}
    found = known.get(name) or known.get(topics.prefix + name)
    if found is None:
        raise SettingsError(f"{name} has no dead letters; name product, account or transitions")
    return found


# -- what is done ----------------------------------------------------------------------------------------------------


def _settle(settings: "Settings", order: "Order", *, dry_run: bool, yes: bool) -> None:
    from streams.dead_letters.letters import Verdict  # noqa: PLC0415
    from streams.dead_letters.settle import carry_out, plan  # noqa: PLC0415

    if dry_run:
        for settled in plan(settings, order):
            sys.stdout.write(_settled_line(settled, f"would be {order.action}") + "\n")
        return
    if not yes:
        ready = sum(1 for settled in _watched(plan(settings, order)) if settled.verdict is Verdict.READY)
        if not ready:
            say("there is nothing to do")
            return
        verb = "Try" if order.action == "retried" else "Drop"
        again = " again" if order.action == "retried" else ""
        if not typer.confirm(f"{verb} {ready} dead letters{again} at {settings.kafka.bootstrap}?", err=True):
            raise typer.Exit(1)
    verdicts: Counter[Verdict] = Counter()
    missing = set(order.selection.places)

    def note(settled: "Settled") -> None:
        verdicts[settled.verdict] += 1
        missing.discard(settled.letter.place)
        sys.stdout.write(_settled_line(settled, order.action) + "\n")

    carry_out(settings, order, note)
    done = verdicts.pop(Verdict.READY, 0)
    already = verdicts.pop(Verdict.ALREADY_RETRIED, 0) + verdicts.pop(Verdict.ALREADY_DROPPED, 0)
    say(f"{done} dead letters {order.action}, {already} were done with before, {verdicts.total()} left alone")
    for place in sorted(missing):
        say(f"there is no dead letter {place}")
    if verdicts.total() or missing:
        raise typer.Exit(1)


def _settled_line(settled: "Settled", done: "Action | str") -> str:
    from streams.dead_letters.letters import Verdict  # noqa: PLC0415

    what = done if settled.verdict is Verdict.READY else f"left alone ({settled.verdict})"
    return f"{settled.letter.place}  {what}"


# -- how they look ---------------------------------------------------------------------------------------------------


def _watched(letters: Iterator[Any]) -> Iterator[Any]:
    """The same, with their number on a terminal."""
    if not sys.stderr.isatty():
        yield from letters
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import

    console = Console(stderr=True)
    with console.status("reading dead letters") as status:
        for count, letter in enumerate(letters, 1):
            if count % PROGRESS_EVERY_LETTERS == 0:
                status.update(f"reading dead letters: {count}")
            yield letter


def _write_summary(letters: Iterable["Letter"], *, as_json: bool) -> None:
    counts: Counter[tuple[str, str, str]] = Counter()
    for letter in letters:
        reason = letter.told.reason.value if letter.told else "no_dead_letter"
        counts[letter.place.topic, letter.state.value, reason] += 1
    for (topic, state, reason), count in sorted(counts.items()):
        if as_json:
            row = {"topic": topic, "state": state, "reason": reason, "count": count}
            sys.stdout.write(json.dumps(row) + "\n")
        else:
            sys.stdout.write(f"{count:>9}  {state:<8}  {reason:<20}  {topic}\n")
    say(f"{counts.total()} dead letters")


def _row(letter: "Letter") -> dict[str, Any]:
    from schemas.timestamps import format_ms  # noqa: PLC0415

    told, mark, value = letter.told, letter.mark, letter.value
    return {
        "id": str(letter.place),
        "topic": letter.place.topic,
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "refused_at": format_ms(letter.at_ms),
        "state": letter.state.value,
        "key": None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        "value_bytes": None if value is None else len(value),
        "dead_letter": told.model_dump(mode="json") if told else None,
        "settled_at": mark.at if mark else None,
        "settled_by": mark.by if mark else None,
        "note": mark.note if mark else None,
    }


def _line(letter: "Letter") -> str:
    from schemas.timestamps import format_ms  # noqa: PLC0415

    told, mark = letter.told, letter.mark
    state = letter.state.value if mark is None else f"{letter.state.value} {mark.at} by {_printable(mark.by)}"
    reason = told.reason.value if told else "no_dead_letter"
    retries = f" (retry {told.retries})" if told and told.retries else ""
    key = "-" if letter.key is None else _printable(letter.key.decode("utf-8", "backslashreplace"))[:KEY_CHARS_SHOWN]
    detail = _printable(told.detail)[:DETAIL_CHARS_SHOWN] if told else ""
    why = f"  # {_printable(mark.note)}" if mark and mark.note else ""
    return f"{letter.place}  {format_ms(letter.at_ms)}  {state}  {reason}{retries}  {key}  {detail}{why}"


def _page(letter: "Letter") -> Iterator[str]:
    row = _row(letter)
    dead = row.pop("dead_letter") or {}
    for name, value in {**row, **dead}.items():
        if value not in (None, ""):
            yield f"{name:<20} {_printable(str(value))}"
    for name, content in letter.headers:
        if not name.startswith("pegel-"):
            shown = "null" if content is None else _printable(content.decode("utf-8", "backslashreplace"))
            yield f"{'header':<20} {_printable(name)}: {shown}"
    yield ""
    yield from _value_lines(letter.value)


def _value_lines(value: bytes | None) -> Iterator[str]:
    """The value as indented JSON, as text, or in hex; nothing in it moves the terminal."""
    if value is None:
        yield "null"
        return
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or any(not char.isprintable() and char not in "\n\t" for char in text[:VALUE_BYTES_SHOWN]):
        for at in range(0, min(len(value), HEX_BYTES_SHOWN), HEX_BYTES_A_LINE):
            piece = value[at : at + HEX_BYTES_A_LINE]
            shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
            yield f"{at:08x}  {piece.hex(' '):<47}  {shown}"
        if len(value) > HEX_BYTES_SHOWN:
            yield f"... {len(value)} bytes in all; --raw writes them"
        return
    try:
        shown = json.dumps(json.loads(text), indent=2, ensure_ascii=False) if len(value) <= VALUE_BYTES_SHOWN else text
    except (ValueError, RecursionError):
        shown = text
    for line in shown[:VALUE_BYTES_SHOWN].splitlines():
        yield _printable(line)
    if len(shown) > VALUE_BYTES_SHOWN:
        yield f"... {len(value)} bytes in all; --raw writes them"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
