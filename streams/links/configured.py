"""Links as the settings describe them."""

from streams.errors import SettingsError
from streams.links.signing import Signer
from streams.links.token import Keys, LinkError, keys_of
from streams.settings import LinkSettings, variable_of


def link_keys(links: LinkSettings) -> Keys:
    """Raises SettingsError where there are none, or none that can be used."""
    variable = variable_of(("links", "keys"))
    if links.keys is None:
        raise SettingsError(
            f"links.keys: there is no key to sign links with; make one (pegel link key k1), set {variable}"
        )
    try:
        return keys_of(links.keys.get_secret_value())
    except LinkError as error:
        raise SettingsError(f"links.keys: {error}; correct {variable}") from None


def signer(links: LinkSettings) -> Signer | None:
    """None where links are not set up: messages then lead straight where they should."""
    if links.base_url is None or links.keys is None:
        return None
    return Signer(links.base_url, link_keys(links), links.expire_days, links.hosts)
