"""Who is held out: a stable share of the accounts, so that one can tell whether telling helps.

An account's place between 0 and 1 is a hash of the salt and its id: the same at every entry, after every restart and on
every worker. Plays draw independently of each other and of the playbook's own holdout, each with its id in the salt.
"""

from hashlib import blake2b
from typing import Final

from schemas.action import Arm
from schemas.playbook import Play

SEPARATOR: Final = "\x1f"


def place(salt: str, account: str) -> float:
    """Between 0 and 1, evenly over accounts."""
    digest = blake2b(f"{salt}{SEPARATOR}{account}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def measured(play: Play, overall_percent: float) -> bool:
    """Whether exposures of the play are recorded: somebody is held out, or there is a goal to look for."""
    return play.holdout_percent > 0 or overall_percent > 0 or play.goal is not None


def arm(play: Play, account: str, salt: str, overall_percent: float) -> Arm:
    """Whether the account is told; `overall_percent` is the share that no play tells of."""
    if place(salt, account) * 100 < overall_percent:
        return Arm.CONTROL
    if place(f"{salt}{SEPARATOR}{play.id}", account) * 100 < play.holdout_percent:
        return Arm.CONTROL
    return Arm.TREATMENT
