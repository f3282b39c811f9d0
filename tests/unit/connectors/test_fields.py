"""What is written into which field."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from streams.connectors.fields import Identity, Properties, Source, constant, identity_of, written
from streams.connectors.message import Message, Rendered

ENTERED: dict[str, Any] = {
    "transition_id": "t-1", "account_id": "acme", "segment": "at_risk", "direction": "entered", "group": "lifecycle",
    "from_segment": None, "effective_at": "2026-03-01T12:34:58.000Z", "sequence": 7, "catalog_version": "d0c5",
    "evidence": {"values": {"score(days=7)": 12, "stage": "customer", "since(x)": float("inf"), "open": ["a", 1]}},
    "entered_at": None, "dwell_seconds": None, "forecast": {"leaves_at": "2026-04-01T00:00:00.000Z"},
}  # fmt: skip
MOVED = ENTERED | {"direction": "moved", "from_segment": "new", "dwell_seconds": 129_600.0, "entered_at": "e"}
EXITED = ENTERED | {"direction": "exited", "dwell_seconds": 129_600.0, "entered_at": "2026-02-01T00:00:00.000Z"}


def message(item: dict[str, Any], owner: str | None = None) -> Message:
    return Message("d-1", 1, 0, "save", item, Rendered("Title", "Body"), facts={"owner": "anna@x", "crm": "77"},
                   owner=owner)  # fmt: skip


def one(source: str, item: dict[str, Any] = ENTERED, owner: str | None = None) -> Any:
    return written({"p": source}, message(item, owner), item).get("p", "(not written)")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("account_id", "acme"), ("segment", "at_risk"), ("direction", "entered"), ("group", "lifecycle"),
        ("effective_at", "2026-03-01T12:34:58.000Z"), ("sequence", 7), ("current", "at_risk"),
        ("leaves_at", "2026-04-01T00:00:00.000Z"), ("play", "save"), ("title", "Title"), ("body", "Body"),
        ("value.score(days=7)", 12), ("value.stage", "customer"), ("value.since(x)", None), ("value.open", '["a",1]'),
        ("fact.owner", "anna@x"), ("=pegel", "pegel"), ("=true", True), ("=5", 5), ('="5"', "5"), ("={}", "{}"),
    ],
)  # fmt: skip
def test_a_source_is_looked_up(source: str, value: Any) -> None:
    assert one(source) == value


def test_what_is_known_to_be_nothing_clears_the_field() -> None:
    assert one("from_segment") is None
    assert one("entered_at") is None
    assert one("current", EXITED) is None
    assert one("leaves_at", EXITED) is None
    assert one("group", ENTERED | {"group": None}) is None
    assert one("dwell_days", EXITED) == 1.5


def test_in_or_out_is_a_question_for_segments_outside_groups() -> None:
    assert one("member", ENTERED | {"group": None}) is True
    assert one("member", EXITED | {"group": None}) is False
    for grouped in (ENTERED, MOVED, EXITED):
        assert one("member", grouped) == "(not written)"


@pytest.mark.parametrize("source", ["fact.plan", "value.mrr", "owner"])
def test_what_is_merely_not_known_is_not_written(source: str) -> None:
    assert one(source) == "(not written)"
    assert one("owner", owner="U1") == "U1"


def test_traits_are_of_the_leading_account_alone() -> None:
    other = ENTERED | {"account_id": "globex"}
    assert written({"p": "fact.owner", "q": "segment"}, message(ENTERED), other) == {"q": "at_risk"}


def test_a_segment_outside_groups_has_a_property_of_its_own_and_a_group_has_one() -> None:
    properties = {"in_{segment}": "member", "now_{group}": "current", "was": "from_segment"}
    assert written(properties, message(MOVED), MOVED) == {"now_lifecycle": "at_risk", "was": "new"}
    assert written(properties, message(EXITED), EXITED) == {"now_lifecycle": None, "was": None}
    for direction in ("entered", "exited"):
        alone = ENTERED | {"group": None, "direction": direction}
        assert written(properties, message(alone), alone) == {"in_at_risk": direction == "entered", "was": None}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("segmnet", "did you mean segment"), ("{{ 7 * 7 }}", "nothing that can be written"), ("value.", "nothing"),
        ("evidence.__class__", "nothing that can be written"), ("", "at least 1 character"), ("x" * 2_000, "at most"),
    ],
)  # fmt: skip
def test_nothing_else_is_a_source(source: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(Source).validate_python(source)


@pytest.mark.parametrize("name", ["{account}", "{segment}_{group}", "{segment", "", " ", "a\nb", "x" * 200, "{}"])
def test_a_name_holds_one_known_placeholder_at_most(name: str) -> None:
    if name == "{segment":
        assert TypeAdapter(Properties).validate_python({name: "segment"})  # no placeholder: the provider's own rule
    else:
        with pytest.raises(ValidationError):
            TypeAdapter(Properties).validate_python({name: "segment"})


def test_there_is_an_end_to_properties() -> None:
    with pytest.raises(ValidationError, match="at most 50"):
        TypeAdapter(Properties).validate_python({f"p{n}": "segment" for n in range(51)})


def test_an_account_is_found_by_its_id_or_a_trait_and_nothing_that_changes() -> None:
    assert identity_of("account_id", ENTERED, {}) == "acme"
    assert identity_of("fact.crm", ENTERED, {"crm": "77"}) == "77"
    assert identity_of("fact.crm", ENTERED, {}) is None
    assert identity_of("account_id", {}, {}) is None
    for bad in ("segment", "=x", "fact."):
        with pytest.raises(ValidationError, match="account_id or by a trait"):
            TypeAdapter(Identity).validate_python(bad)


def test_texts_end_somewhere() -> None:
    long = ENTERED | {"segment": "x" * 5_000}
    assert len(one("segment", long)) == 1_000
    assert constant("null") == "null"
