"""Addresses of messages as signed links to the service.

What cannot be signed stays as it is: a message with a plain link is worth more than none. A link is the same on every
attempt, for its expiry counts from when the delivery was planned.
"""

from dataclasses import dataclass
from typing import Final

from streams.links.token import Keys, Link, LinkError, require_target, sign
from streams.notify.plan.delivery import Delivery

PATH: Final = "/l/"
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a message is for."""

    delivery_id: str
    play: str
    account_id: str
    planned_at_ms: int


@dataclass(frozen=True, slots=True)
class Signer:
    """How links are made: where the service is reached, with which keys, for how long, to which hosts."""

    base_url: str
    keys: Keys
    expire_days: float
    hosts: tuple[str, ...] = ()

    def signed(self, url: str, addressee: Addressee) -> str:
        """The link to send; raises LinkError if the address is no target."""
        require_target(url, self.hosts)
        expires_at_s = addressee.planned_at_ms // 1_000 + round(self.expire_days * DAY_S)
        link = Link(addressee.delivery_id, addressee.play, addressee.account_id, url, expires_at_s)
        return f"{self.base_url.rstrip('/')}{PATH}{sign(link, self.keys)}"

    def track(self, url: str, delivery: Delivery) -> str:
        """An address in a message: the signed link, or the address as it is."""
        to = Addressee(delivery.delivery_id, delivery.play, delivery.news.account_id, delivery.planned_at_ms)
        try:
            return self.signed(url, to)
        except LinkError:
            return url
