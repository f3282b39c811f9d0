"""How an event finds its account, and what is learned on the way."""

from typing import Any

import msgspec
import pytest

from schemas.dead_letter import Rejected, RejectReason
from schemas.wire import decode_event
from schemas.wire_event import WireEvent
from streams.intake.identity import Identity, LearnedUsers, Via, account_path, stated_account
from streams.limits import ACCOUNT_ID_CHARS_MAX, USER_ID_CHARS_MAX


def event(type_: str = "track", **fields: Any) -> WireEvent:
    return decode_event(msgspec.json.encode({"type": type_, "event": "e", **fields}))


def refused(identity: Identity, one: WireEvent) -> Rejected:
    with pytest.raises(Rejected) as caught:
        identity.take(one)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "stated"),
    [
        ({"type_": "group", "groupId": "a", "context": {"groupId": "b"}}, ("a", Via.GROUP_CALL)),
        ({"type_": "group", "context": {"groupId": "b"}}, ("b", Via.CONTEXT)),
        ({"type_": "group", "groupId": "", "context": {"groupId": "b"}}, ("b", Via.CONTEXT)),
        ({"groupId": "a", "context": {"groupId": "b"}}, ("b", Via.CONTEXT)),
        ({"groupId": "a"}, None),
        ({"context": {"groupId": "b"}, "properties": {"workspace": {"id": "c"}}}, ("b", Via.CONTEXT)),
        ({"context": {"groupId": 5}, "properties": {"workspace": {"id": "c"}}}, ("c", Via.PROPERTY)),
        ({"context": {"groupId": ""}, "properties": {"workspace": {"id": "c"}}}, ("c", Via.PROPERTY)),
        ({"properties": {"workspace": {"id": ""}}}, None),
        ({"properties": {"workspace": {"id": 7}}}, None),
        ({"properties": {"workspace": {"id": None}}}, None),
        ({"properties": {"workspace": "c"}}, None),
        ({"properties": {"workspace": ["id"]}}, None),
        ({"properties": {}}, None),
        ({"userId": "u"}, None),
    ],
)
def test_the_first_place_with_a_text_states_the_account(fields: dict[str, Any], stated: Any) -> None:
    assert stated_account(event(**fields), ("properties", "workspace", "id")) == stated


def test_without_a_path_properties_state_nothing() -> None:
    assert stated_account(event(properties={"workspace": "c"})) is None


@pytest.mark.parametrize("root", ["properties", "context", "traits"])
def test_a_path_may_begin_in_any_of_the_objects(root: str) -> None:
    path = account_path(f"{root}.org.id")
    fields: dict[str, Any] = {root: {"org": {"id": "a"}}}
    assert stated_account(event(**fields), path) == ("a", Via.PROPERTY)


@pytest.mark.parametrize("text", ["", "properties", "properties.", ".id", "properties..id", "userId", "workspace.id"])
def test_a_path_that_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"properties\."):
        account_path(text)


@pytest.mark.parametrize("user", [{"userId": "u"}, {"anonymousId": "u"}])
def test_a_group_call_teaches_where_its_user_belongs(user: dict[str, str]) -> None:
    identity = Identity()
    assert identity.take(event("group", groupId="acme", **user)) == "acme"
    assert identity.take(event(**user)) == "acme"
    assert identity.take(event("identify", **user)) == "acme"
    assert identity.resolved == {Via.GROUP_CALL: 1, Via.CONTEXT: 0, Via.PROPERTY: 0, Via.USER: 2}


def test_a_group_call_teaches_both_ids() -> None:
    identity = Identity()
    identity.take(event("group", groupId="acme", userId="u", anonymousId="anon"))
    assert identity.take(event(anonymousId="anon")) == "acme"
    assert identity.take(event(userId="u")) == "acme"


def test_the_user_id_goes_before_the_anonymous_id() -> None:
    identity = Identity()
    identity.take(event("group", groupId="old", anonymousId="anon"))
    identity.take(event("group", groupId="new", userId="u"))
    assert identity.take(event(userId="u", anonymousId="anon")) == "new"
    assert identity.take(event(userId="stranger", anonymousId="anon")) == "old"


def test_a_later_group_call_moves_the_user() -> None:
    identity = Identity()
    identity.take(event("group", groupId="one", userId="u"))
    identity.take(event("group", groupId="two", userId="u"))
    assert identity.take(event(userId="u")) == "two"


@pytest.mark.parametrize("type_", ["track", "identify", "page", "screen", "alias"])
def test_other_calls_teach_nothing_of_the_account_they_state(type_: str) -> None:
    identity = Identity()
    assert identity.take(event(type_, userId="u", context={"groupId": "acme"})) == "acme"
    assert refused(identity, event(userId="u")).reason is RejectReason.MISSING_ACCOUNT


def test_a_group_call_that_states_no_account_teaches_nothing_new() -> None:
    identity = Identity()
    identity.take(event("group", groupId="acme", userId="u"))
    assert identity.take(event("group", userId="u", anonymousId="anon")) == "acme"
    assert refused(identity, event(anonymousId="anon")).reason is RejectReason.MISSING_ACCOUNT


def test_an_alias_hands_the_account_on() -> None:
    identity = Identity()
    identity.take(event("group", groupId="acme", anonymousId="anon"))
    assert identity.take(event("alias", previousId="anon", userId="u")) == "acme"
    assert identity.take(event(userId="u")) == "acme"


def test_an_alias_leaves_a_known_user_where_it_is() -> None:
    identity = Identity()
    identity.take(event("group", groupId="one", userId="u"))
    identity.take(event("group", groupId="two", anonymousId="anon"))
    assert identity.take(event("alias", previousId="anon", userId="u")) == "one"
    assert identity.take(event(userId="u")) == "one"


def test_an_alias_with_an_account_of_its_own_hands_on_what_was_known_before() -> None:
    identity = Identity()
    identity.take(event("group", groupId="one", anonymousId="anon"))
    assert identity.take(event("alias", previousId="anon", userId="u", context={"groupId": "two"})) == "two"
    assert identity.take(event(userId="u")) == "one"


def test_an_alias_of_strangers_is_refused() -> None:
    assert refused(Identity(), event("alias", previousId="x", userId="y")).reason is RejectReason.MISSING_ACCOUNT


def test_a_previous_id_counts_on_alias_calls_only() -> None:
    identity = Identity()
    identity.take(event("group", groupId="acme", userId="old"))
    assert refused(identity, event(previousId="old", userId="new")).reason is RejectReason.MISSING_ACCOUNT


def test_without_learning_only_what_an_event_states_counts() -> None:
    identity = Identity(learns=False)
    assert identity.take(event("group", groupId="acme", userId="u")) == "acme"
    assert refused(identity, event(userId="u")).reason is RejectReason.MISSING_ACCOUNT
    assert len(identity.users) == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ["context.groupId", "no userId"]),
        ({"userId": "secret-17"}, ["context.groupId", "no group call"]),
        ({"type_": "group", "userId": "secret-17"}, ["groupId, context.groupId"]),
    ],
)
def test_a_missing_account_is_explained_without_quoting_the_event(fields: dict[str, Any], words: list[str]) -> None:
    rejected = refused(Identity(), event(**fields))
    assert rejected.reason is RejectReason.MISSING_ACCOUNT
    assert all(word in rejected.detail for word in words)
    assert "17" not in rejected.detail


def test_the_configured_path_is_named_when_the_account_is_missing() -> None:
    assert "properties.org" in refused(Identity(account_path("properties.org")), event(userId="u")).detail


def test_an_account_id_has_a_limit_and_teaches_nothing_beyond_it() -> None:
    identity = Identity()
    longest = "é" * ACCOUNT_ID_CHARS_MAX
    assert identity.take(event("group", groupId=longest, userId="u")) == longest
    rejected = refused(identity, event("group", groupId=longest + "x", userId="u"))
    assert rejected.reason is RejectReason.ACCOUNT_TOO_LONG
    assert identity.take(event(userId="u")) == longest


def test_learning_the_same_again_changes_nothing() -> None:
    users = LearnedUsers()
    users.learn("u", "acme")
    assert users.take_changes() == {"u": "acme"}
    users.learn("u", "acme")
    assert not users.changed
    users.learn("u", "other")
    assert users.take_changes() == {"u": "other"}


def test_only_the_last_of_several_changes_is_written() -> None:
    users = LearnedUsers()
    for account in ("a", "b", "c"):
        users.learn("u", account)
    assert users.take_changes() == {"u": "c"}
    assert users.take_changes() == {}


def test_beyond_the_limit_the_least_recently_seen_user_is_forgotten_and_counted() -> None:
    users = LearnedUsers(users_max=2)
    users.learn("a", "x")
    users.learn("b", "x")
    assert users.account_of("a") == "x"
    users.learn("c", "x")
    assert (users.account_of("a"), users.account_of("b"), users.account_of("c")) == ("x", None, "x")
    assert users.evicted == 1
    assert len(users) == 2
    assert users.take_changes() == {"a": "x", "b": None, "c": "x"}


def test_restored_rows_are_known_and_not_written_again() -> None:
    users = LearnedUsers()
    users.restore("u", "acme")
    users.restore("v", "acme")
    users.restore("v", None)
    users.restore("never seen", None)
    assert users.account_of("u") == "acme"
    assert users.account_of("v") is None
    assert not users.changed


def test_more_rows_than_the_limit_are_cut_and_the_cut_is_written() -> None:
    users = LearnedUsers(users_max=2)
    for user in "abc":
        users.restore(user, "x")
    assert users.take_changes() == {"a": None}


@pytest.mark.parametrize("user", ["x" * (USER_ID_CHARS_MAX + 1), "\0rejects", "\0"])
def test_ids_that_cannot_be_a_key_are_not_learned(user: str) -> None:
    identity = Identity()
    assert identity.take(event("group", groupId="acme", userId=user)) == "acme"
    assert len(identity.users) == 0
    assert refused(identity, event(userId=user)).reason is RejectReason.MISSING_ACCOUNT
