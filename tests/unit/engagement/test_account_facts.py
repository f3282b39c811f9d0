"""What is known of an account goes out with its transitions, for those who tell people of them."""

import json

from schemas.catalog import DEFAULT_ACCOUNT_FACTS, Catalog
from schemas.timestamps import format_ms
from schemas.transition import FACT_CHARS_MAX, FACTS_HEADER, facts_header, facts_of
from streams.catalogs import load_catalog
from streams.engine.program import version_of
from tests.unit.engagement.log import DAY, START, TOPICS, World, config


def headers_of(world: World) -> list[dict[str, bytes | None]]:
    return [dict(output.headers) for output in world.out[TOPICS.transitions]]


def test_the_texts_that_the_catalog_names_go_with_every_transition_and_nothing_else() -> None:
    world = World(config())
    traits = {"name": "Acme Ltd", "owner": "anna@example.com", "plan": "pro", "timezone": 5}
    group = {"type": "group", "groupId": "acme", "messageId": "m1", "timestamp": format_ms(START), "traits": traits}
    world.append(0, "acme", json.dumps(group).encode(), START)
    world.run(START)
    world.restart()
    world.run(START + 4 * DAY)
    world.run(START + 4 * DAY + 60_000)
    assert [json.loads(headers[FACTS_HEADER] or b"") for headers in headers_of(world)] == [
        {"name": "Acme Ltd", "owner": "anna@example.com"}
    ] * 2


def test_the_texts_are_those_of_the_moment_however_the_log_is_batched() -> None:
    """A batch that goes on to say otherwise changes nothing about what was found before."""
    said = []
    for size in (1, 100):
        world = World(config())
        for number, owner in enumerate(("anna@example.com", "ben@example.com")):
            at = START + number * 5 * DAY
            group = {"type": "group", "groupId": "acme", "messageId": f"m{number}", "timestamp": format_ms(at)}
            world.append(0, "acme", json.dumps({**group, "traits": {"owner": owner}}).encode(), at)
        for first in range(0, 2, size):
            world.stages[0].apply(world.logs[0][first : first + size])
        world.flush(0)
        said.append([headers.get(FACTS_HEADER) for headers in headers_of(world)])
    assert said[0] == said[1]
    assert said[0] == [b'{"owner":"anna@example.com"}'] * 2, "in on the first, out at a deadline before the second"


def test_an_account_without_such_traits_costs_no_header() -> None:
    world = World(config())
    world.publish("acme", "m1", START)
    world.run(START)
    assert [FACTS_HEADER in headers for headers in headers_of(world)] == [False]


def test_a_fact_is_short_and_what_is_no_text_is_none() -> None:
    header = facts_header([("name", "x" * 1_000), ("owner", None), ("timezone", ""), ("seats", 3)])
    assert header is not None
    assert facts_of([header]) == {"name": "x" * FACT_CHARS_MAX}
    assert facts_header([("owner", None)]) is None


def test_a_header_that_is_no_facts_says_nothing() -> None:
    for value in (None, b"", b"{", b"[1]", b'{"a": 1}'):
        assert facts_of([(FACTS_HEADER, value)]) == {}


def test_a_catalog_that_asks_for_the_usual_facts_has_the_version_that_it_had() -> None:
    catalog = load_catalog("default")
    said = Catalog.model_validate({**catalog.model_dump(), "account_facts": DEFAULT_ACCOUNT_FACTS})
    other = Catalog.model_validate({**catalog.model_dump(), "account_facts": ["csm"]})
    assert version_of(said) == version_of(catalog) != version_of(other)
