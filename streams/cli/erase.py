"""`pegel erase`: forget an account or a user."""

from typing import Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, say, settings_for
from streams.errors import SettingsError

app = typer.Typer()


@app.command()
def erase(
    account: Annotated[
        str | None, typer.Option("--account", metavar="ID", help="The account to forget.", show_default=False)
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="ID", help="The user to forget, in every account.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
) -> None:
    """Forget an account or a user: their state goes, their later events are suppressed.

    Events that were published stay in their topics for as long as those keep them; the record of the erasure stays in
    the log.
    """
    from schemas.control import Erase  # noqa: PLC0415
    from streams.control_log import erase as write_erasure  # noqa: PLC0415

    if (account is None) == (user is None):
        raise SettingsError("name what to forget: either --account ID or --user ID")
    settings = settings_for(config, bootstrap)
    what = f"account {account}" if user is None else f"user {user}"
    if not yes and not typer.confirm(f"Forget {what} at {settings.kafka.bootstrap} for good?", err=True):
        raise typer.Exit(1)
    written = write_erasure(settings, Erase(account_id=account, user_id=user))
    say(f"{what} is forgotten by the workers as they read on, in {written.partitions} partitions")
