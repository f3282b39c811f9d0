"""`pegel deliveries`: what is on its way to people, and what became of it."""

import getpass
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.moments import age, now_ms, past
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, say, settings_for
from streams.errors import ExpectedError

if TYPE_CHECKING:
    from schemas.inbox import CommandKind
    from streams.deliveries.ledger import Ledger, Open
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)

LIMIT_DEFAULT: Final = 100

DestinationOption = Annotated[
    str | None, typer.Option("--destination", metavar="ID", help="Only there.", show_default=False)
]
AccountOption = Annotated[
    str | None, typer.Option("--account", metavar="ID", help="Only about this account.", show_default=False)
]
IdArgument = Annotated[str, typer.Argument(metavar="DELIVERY", help="The id, as 'pegel deliveries list' writes it.")]
NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.callback()
def deliveries() -> None:
    """See what is on its way to people, hurry it or give it up."""


@app.command("list")
def list_deliveries(
    destination: DestinationOption = None,
    account: AccountOption = None,
    done: Annotated[
        bool, typer.Option("--done", help="Instead of the open ones, the last word on each, newest last.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="With --done: since then, or 2h, 3d ago.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, metavar="N", help="At most so many.")] = (
        LIMIT_DEFAULT
    ),
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """List open deliveries, in the order in which they were opened; with --done, what became of the others."""
    settings = settings_for(config, bootstrap)
    if done:
        _list_done(settings, destination, account, past(since, "--since"), limit, as_json=as_json)
        return
    found = [
        one
        for one in ledger_of(settings).open.values()
        if destination in (None, one.destination) and account in (None, one.account)
    ]
    found.sort(key=lambda one: (one.destination, one.order))
    for one in found[:limit]:
        sys.stdout.write((json.dumps(one.row(), ensure_ascii=False) if as_json else _line(one)) + "\n")
    say(f"{len(found)} open deliveries" + (f", {limit} shown (--limit)" if len(found) > limit else ""))


@app.command()
def show(
    delivery: IdArgument,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Show a delivery: how it stands, and everything that was done about it."""
    settings = settings_for(config, bootstrap)
    one = ledger_of(settings).open.get(delivery)
    actions = list(_actions_of(settings, delivery))
    if one is None and not actions:
        raise ExpectedError(f"there is no delivery {delivery}; 'pegel deliveries list' and 'list --done' name them")
    if as_json:
        state = {"state": "open" if one is not None else actions[-1]["outcome"]}
        row = (one.row() if one is not None else {"delivery_id": delivery}) | state | {"actions": actions}
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    for name, value in (one.row() if one is not None else {}).items():
        if value is not None:
            sys.stdout.write(f"{name:<16} {value}\n")
    sys.stdout.write(f"{'state':<16} {'open' if one is not None else actions[-1]['outcome']}\n\n")
    for action in actions:
        sys.stdout.write(_action_line(action) + "\n")


@app.command()
def retry(
    delivery: IdArgument,
    note: NoteOption = "",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Try an open delivery now, instead of when its backoff ends. A dead letter: pegel dlq retry.

    Where the destination's breaker is open this is the try that decides: if it succeeds, all that waits goes out.
    """
    from schemas.inbox import CommandKind  # noqa: PLC0415 - as elsewhere, `--help` needs none of it

    settings = settings_for(config, bootstrap)
    ledger = ledger_of(settings)
    one = _open(settings, ledger, delivery)
    _tell(settings, CommandKind.RETRY, one, note)
    say(f"{delivery} {_what_a_retry_does(ledger, one)}")


@app.command()
def drop(
    delivery: IdArgument,
    note: NoteOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Give up an open delivery. It leaves no dead letter, only an action that says so."""
    from schemas.inbox import CommandKind  # noqa: PLC0415

    settings = settings_for(config, bootstrap)
    one = _open(settings, ledger_of(settings), delivery)
    what = f"{one.play} about {one.account} at {one.destination}"
    if not yes and not typer.confirm(f"Give up {what}?", err=True):
        raise typer.Exit(1)
    _tell(settings, CommandKind.DROP, one, note)
    say(f"{delivery} is given up as the courier reads on: {what}")


def ledger_of(settings: "Settings") -> "Ledger":
    """What the courier's changelog says now."""
    from streams.deliveries.ledger import read  # noqa: PLC0415
    from streams.dumping import TopicReader  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    return read(TopicReader(settings.kafka, Topics(settings.kafka.topic_prefix).deliveries_changelog).records())


def _actions_of(settings: "Settings", delivery: str) -> Iterable[dict[str, Any]]:
    from streams.deliveries.history import of_delivery  # noqa: PLC0415
    from streams.dumping import TopicReader  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    records = TopicReader(settings.kafka, Topics(settings.kafka.topic_prefix).actions).records()
    return sorted(of_delivery(records, delivery), key=lambda action: str(action["at"]))


def _list_done(
    settings: "Settings", destination: str | None, account: str | None, since_ms: int | None, limit: int,
    *, as_json: bool,
) -> None:  # fmt: skip
    from schemas.timestamps import parse_ms  # noqa: PLC0415
    from streams.deliveries.history import latest  # noqa: PLC0415
    from streams.dumping import TopicReader  # noqa: PLC0415
    from streams.topics import Topics  # noqa: PLC0415

    def wanted(action: dict[str, Any]) -> bool:
        return (
            destination in (None, action["destination"])
            and account in (None, action["account_id"])
            and (since_ms is None or (parse_ms(action["at"]) or 0) >= since_ms)
        )

    records = TopicReader(settings.kafka, Topics(settings.kafka.topic_prefix).actions).records()
    found = latest(records, wanted, limit)
    for action in sorted(found, key=lambda one: str(one["at"])):
        sys.stdout.write((json.dumps(action, ensure_ascii=False) if as_json else _action_line(action)) + "\n")
    say(f"{len(found)} deliveries" + (f", the last {limit} (--limit)" if len(found) == limit else ""))


def _what_a_retry_does(ledger: "Ledger", one: "Open") -> str:
    """What stands in its way, as far as the changelog knows."""
    operator = ledger.operators.get(one.destination)
    if operator is not None and operator.held_after is not None and one.order > operator.held_after:
        held = f"{operator.command} by {operator.by}" + (f": {operator.note}" if operator.note else "")
        return _printable(f"waits: {one.destination} is held ({held}); let it go on: "
                          f"pegel destination resume {one.destination}")  # fmt: skip
    return (
        f"is tried at {one.destination} as the courier reads on, after those of its account that came before it; also "
        f"while its breaker is open. What came of it: pegel deliveries show {one.delivery_id}"
    )


def _open(settings: "Settings", ledger: "Ledger", delivery: str) -> "Open":
    one = ledger.open.get(delivery)
    if one is not None:
        return one
    last = [action["outcome"] for action in _actions_of(settings, delivery)][-1:]
    if not last:
        raise ExpectedError(f"there is no delivery {delivery}; 'pegel deliveries list' names the open ones")
    hint = "; try it again: pegel dlq retry transitions" if last == ["dead_lettered"] else ""
    raise ExpectedError(f"delivery {delivery} is not open any more: {last[0]}{hint}")


def _tell(settings: "Settings", kind: "CommandKind", one: "Open", note: str) -> None:
    from schemas.inbox import Command  # noqa: PLC0415
    from streams.control_log import command  # noqa: PLC0415

    what = Command(at_ms=now_ms(), by=getpass.getuser(), note=note, delivery_id=one.delivery_id)
    command(settings, kind, what, one.destination)


def _line(one: "Open") -> str:
    waits = f", again in {age(one.not_before_ms - now_ms())}" if one.not_before_ms > now_ms() else ""
    tried = f"{one.attempts} attempts{waits}" if one.attempts else "not tried"
    about = f"{one.account} {one.direction} {one.segment}" if one.size == 1 else f"{one.kind} of {one.size}"
    return _printable(
        f"{one.delivery_id}  {one.destination}  {one.play}  {age(now_ms() - one.planned_at_ms)} old, {tried}  {about}"
    )


def _action_line(action: dict[str, Any]) -> str:
    why = "" if action["reason"] == action["outcome"] else f" ({action['reason']})"
    detail = f"  {action['detail']}" if action["detail"] else ""
    about = f"{action['account_id']} {action['direction']} {action['segment']}"
    return _printable(
        f"{action['at']}  {action['delivery_id']}  {action['destination']}  {action['playbook']}  "
        f"{action['outcome']}{why}{detail}  {about}"
    )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
