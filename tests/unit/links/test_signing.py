"""Links in messages: where links are set up, visits of what is tracked come back; else nothing changes."""

import pytest
from pydantic import SecretStr

from schemas.playbook import Play, Template
from schemas.transition import Direction
from streams.connectors.dialects import Dialect
from streams.errors import SettingsError
from streams.links.configured import link_keys, signer
from streams.links.token import Link, keys_of, new_key, verify
from streams.notify.plan.delivery import Delivery
from streams.notify.plan.render import Words
from streams.notify.playbooks.samples import delivery, sample
from streams.settings import LinkSettings

KEY = new_key("k1")
LINKS = LinkSettings(base_url="https://go.example", keys=SecretStr(KEY), expire_days=30)
TEMPLATE = Template.model_validate(
    {
        "title": "{{ name }}",
        "body": '{{ "https://app.example/a?x=1&y=2" | tracked | link("Open") }}',
        "links": [
            {"label": "Account", "url": "{{ facts.get('account_url', '') | tracked }}"},
            {"label": "Plain", "url": "https://app.example/plain"},
        ],
    }
)
FACTS = {"account_url": "https://crm.example/acme"}


def made(facts: dict[str, str] | None = None) -> Delivery:
    play = Play.model_validate({"id": "save", "segment": "at_risk", "template": "t", "destination": "team"})
    return delivery(play, sample("at_risk", Direction.ENTERED), facts=FACTS if facts is None else facts)


def rendered(links: LinkSettings, facts: dict[str, str] | None = None) -> tuple[str, dict[str, str]]:
    found, one = signer(links), made(facts)
    track = None if found is None else (lambda url: found.track(url, one))
    words = Words(TEMPLATE, Dialect.SLACK).rendered(one, track)
    return words.body, {link.label: link.url for link in words.links}


def test_a_tracked_address_is_a_signed_link_for_its_delivery_and_account() -> None:
    body, links = rendered(LINKS)
    assert links["Plain"] == "https://app.example/plain"
    one = made()
    for link, url in (
        (links["Account"], FACTS["account_url"]),
        (body[1:].partition("|")[0], "https://app.example/a?x=1&y=2"),
    ):
        assert link.startswith("https://go.example/l/k1.")
        expires_at_s = one.planned_at_ms // 1_000 + 30 * 86_400
        found = verify(link.rpartition("/")[2], keys_of(KEY), one.planned_at_ms / 1_000)
        assert found == Link(one.delivery_id, "save", "acme.example", url, expires_at_s)


def test_a_link_is_the_same_on_every_attempt() -> None:
    assert rendered(LINKS) == rendered(LINKS)


@pytest.mark.parametrize(
    "links", [LinkSettings(), LinkSettings(base_url="https://go.example"), LinkSettings(keys=SecretStr(KEY))]
)
def test_where_links_are_not_set_up_addresses_stay_as_they_are(links: LinkSettings) -> None:
    body, found = rendered(links)
    assert body == "<https://app.example/a?x=1&amp;y=2|Open>"
    assert found["Account"] == FACTS["account_url"]


def test_what_cannot_be_signed_stays_as_it_is() -> None:
    """A message with a plain link is worth more than none; what leads nowhere is no link at all."""
    hosts = LINKS.model_copy(update={"hosts": ("app.example",)})
    body, found = rendered(hosts)
    assert found["Account"] == FACTS["account_url"]
    assert body.startswith("<https://go.example/l/")
    assert "Account" not in rendered(LINKS, {})[1]
    assert rendered(LINKS, {"account_url": "mailto:a@b"})[1]["Account"] == "mailto:a@b"


def test_keys_that_cannot_be_used_are_named_by_their_variable_and_not_shown() -> None:
    broken = LinkSettings(base_url="https://go.example", keys=SecretStr("k1:c2hvcnQ"))
    for links in (broken, LinkSettings()):
        with pytest.raises(SettingsError, match="PEGEL_LINKS__KEYS") as refused:
            link_keys(links)
        assert "c2hvcnQ" not in str(refused.value)
