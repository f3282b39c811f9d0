"""`pegel playbook preview`: what messages look like before anybody gets one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import say
from streams.cli.simulation import reader_of
from streams.errors import SettingsError

if TYPE_CHECKING:
    from streams.connectors.dialects import Dialect
    from streams.notify.playbooks import Playbooks
    from streams.preview.messages import Preview
    from streams.preview.pool import Pool


def preview(
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="A file, a folder, or a built-in's name.")],
    plays: Annotated[list[str] | None, typer.Argument(metavar="[PLAY...]", help="Plays to show; else all.")] = None,
    transitions: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Show the newest transitions of this file (NDJSON, a dump, - is standard input) instead of samples.",
            show_default=False,
        ),
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="ID", help="With --from: of this account alone.", show_default=False)
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(metavar="slack|plain", help="Another markup than the destination's.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page as a channel or mailbox does.", show_default=False),
    ] = None,
) -> None:
    """Write the messages of plays, each template with its steps, on samples or on transitions that happened.

    Secrets are not needed. Exit with 1 if a template fails.
    """
    from streams.notify.playbooks import load_playbooks  # noqa: PLC0415 - slow to import, and `--help` needs none

    if account is not None and transitions is None:
        raise typer.BadParameter("needs the transitions to look it up in: --from FILE", param_hint="--account")
    found = load_playbooks(playbook, None)
    shown = _previews(found, plays or [], _pool(transitions, account), _dialect(dialect))
    for one in shown:
        sys.stdout.write(_text(one))
    if html is not None:
        _write(html, shown, playbook)
    if any(one.rendered is None for one in shown):
        raise typer.Exit(1)


def _previews(playbooks: "Playbooks", wanted: list[str], pool: "Pool", dialect: "Dialect | None") -> "list[Preview]":
    from streams.preview.messages import previews  # noqa: PLC0415 - as above

    known = {play.id: play for play in playbooks.plays}
    missing = [name for name in wanted if name not in known]
    if missing:
        raise SettingsError(f"there is no play {missing[0]!r}; there are {', '.join(known)}")
    chosen = [known[name] for name in wanted] or list(known.values())
    return [one for play in chosen for one in previews(playbooks, play, pool, dialect)]


def _pool(file: str | None, account: str | None) -> "Pool":
    from streams.preview.pool import built_in, pool_of  # noqa: PLC0415 - as above
    from streams.report.records import value_of  # noqa: PLC0415

    if file is None:
        return built_in()
    values = (value for line in reader_of([file]) if (value := value_of(line.raw)) is not None)
    pool = pool_of(values, account)
    if pool.refused:
        say(f"{pool.refused} lines were no transitions")
    if not pool.news:
        whose = "" if account is None else f" of account {account}"
        raise SettingsError(f"{file} has no transition{whose}; make some: pegel replay EVENTS")
    return pool


def _dialect(text: str | None) -> "Dialect | None":
    from streams.connectors.dialects import Dialect  # noqa: PLC0415 - as above

    try:
        return None if text is None else Dialect(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(Dialect)}", param_hint="--dialect") from None


def _text(one: "Preview") -> str:
    step = f", step {one.step}" if one.step else ""
    made_up = "" if one.found else ", on nothing but the transition: no sample fits"
    lines = [f"--- {one.play}{step}: {one.template} to {one.destination} ({one.kind}){made_up}"]
    if one.rendered is None:
        lines.append(f"fails: {one.problem}")
    else:
        lines += [one.rendered.title, *one.rendered.body.splitlines()]
        lines += [f"[{link.label}] {link.url}" for link in one.rendered.links]
    return "\n".join(lines) + "\n\n"


def _write(file: Path, shown: "list[Preview]", name: str) -> None:
    from streams.preview.page import page  # noqa: PLC0415 - as above

    try:
        file.write_text(page(shown, name), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}; name another file") from None
    say(f"wrote {file}")
