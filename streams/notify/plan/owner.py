"""Whom a message concerns: a trait of the account, in the words of the destination, and that person's time zone."""

from collections.abc import Mapping
from typing import Final

from schemas.playbook import Owner

OWNER_ZONE_FACT: Final = "owner_timezone"
ACCOUNT_ZONE_FACT: Final = "timezone"


def owner_of(owner: Owner | None, facts: Mapping[str, str]) -> str | None:
    """None: nobody in particular."""
    if owner is None:
        return None
    found = facts.get(owner.trait)
    if found is None:
        return owner.default
    return owner.map.get(found, owner.default) if owner.map else found


def owner_zone(owner: Owner | None, facts: Mapping[str, str]) -> str | None:
    """The name of a time zone, which need not be one; None: not known."""
    found = None if owner is None else owner.zones.get(facts.get(owner.trait, ""))
    return found or facts.get(OWNER_ZONE_FACT)
