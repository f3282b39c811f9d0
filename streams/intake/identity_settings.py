"""How accounts are found by the settings: for the worker, and for files, which need nothing else of it."""

from typing import TYPE_CHECKING

from streams.errors import SettingsError
from streams.intake.identity import Identity, Path, account_path

if TYPE_CHECKING:
    from streams.settings import IntakeSettings


def identity_of(settings: "IntakeSettings") -> Identity:
    """A fresh identity, for files; raises `SettingsError`."""
    return Identity(path_of(settings), learns=settings.learn_users)


def path_of(settings: "IntakeSettings") -> Path | None:
    """Where events have their account, if anywhere; raises `SettingsError`."""
    if settings.account_property is None:
        return None
    try:
        return account_path(settings.account_property)
    except ValueError as error:
        raise SettingsError(f"intake.account_property: {error}") from None
