"""The company properties that a destination needs: whether they are there, and making those that are not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from streams.connectors.batch_sink import Attempt
from streams.connectors.deadline import Deadline
from streams.connectors.http import Answer
from streams.connectors.hubspot.api import HubspotApi
from streams.connectors.hubspot.payload import property_body
from streams.connectors.outcome import Outcome, OutcomeKind, ok
from streams.connectors.preparing import Did, Step

STEP_TIMEOUT_S: Final = 20.0
STEPS_MAX: Final = 500
IDENTITY: Final = "account_id"

MISSING: Final = Outcome(OutcomeKind.AUTH, "property_missing")
NOT_UNIQUE: Final = Outcome(OutcomeKind.AUTH, "property_not_unique")


class _Property(msgspec.Struct):
    name: str = ""
    hasUniqueValue: bool = False  # noqa: N815 - HubSpot's name


async def checked(api: HubspotApi, name: str, attempt: Attempt) -> Outcome:
    """Whether the unique property is there, and with it whether the token is good."""
    answer = await api.ask("GET", api.properties(f"/{name}"), None, attempt)
    if isinstance(answer, Outcome):
        return answer
    if not isinstance(answer, Answer):
        return answer.outcome()
    if answer.status == 404:
        return MISSING
    failed = api.failure(answer, attempt.now_ms)
    if failed is not None:
        return failed
    try:
        found = msgspec.json.decode(answer.body, type=_Property)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Outcome(OutcomeKind.RETRY_DESTINATION, "unreadable_answer")
    return ok() if found.hasUniqueValue else NOT_UNIQUE


async def prepared(
    api: HubspotApi,
    id_property: str,
    properties: Mapping[str, str],
    names: tuple[Sequence[str], Sequence[str]],
    now_ms: int,
) -> list[Step]:
    """Make what is missing, one property after another; ends at the first failure that all would share."""
    steps: list[Step] = []
    for name, source in [(id_property, IDENTITY), *_filled(properties, *names)][:STEPS_MAX]:
        step = await _made(api, name, property_body(name, source, unique=name == id_property), now_ms)
        if name == id_property and step.did is Did.EXISTS:
            step = await _unique(api, name, now_ms)
        steps.append(step)
        if step.did is Did.FAILED:
            break
    return steps


async def _made(api: HubspotApi, name: str, body: bytes, now_ms: int) -> Step:
    answer = await api.ask("POST", api.properties(), body, _attempt(now_ms))
    if isinstance(answer, Outcome):
        return Step(name, Did.FAILED, _advice(answer))
    if not isinstance(answer, Answer):
        return Step(name, Did.FAILED, _advice(answer.outcome()))
    if answer.status == 409:
        return Step(name, Did.EXISTS)
    failed = api.failure(answer, now_ms)
    return Step(name, Did.CREATED) if failed is None else Step(name, Did.FAILED, _advice(failed))


async def _unique(api: HubspotApi, name: str, now_ms: int) -> Step:
    found = await checked(api, name, _attempt(now_ms))
    return Step(name, Did.EXISTS) if found.kind is OutcomeKind.OK else Step(name, Did.FAILED, _advice(found))


def _attempt(now_ms: int) -> Attempt:
    return Attempt(Deadline(STEP_TIMEOUT_S), now_ms)


def _filled(properties: Mapping[str, str], segments: Sequence[str], groups: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, source in properties.items():
        words = segments if "{segment}" in name else groups if "{group}" in name else [""]
        for word in words:
            yield name.replace("{segment}", word).replace("{group}", word), source


def _advice(outcome: Outcome) -> str:
    """What somebody can do about it, in plain words."""
    if outcome == NOT_UNIQUE:
        return (
            "exists, but its values are not unique, and HubSpot cannot change that: name another one as id_property, "
            "and it will be made"
        )
    if outcome.kind is OutcomeKind.AUTH and outcome.detail.startswith("401"):
        return "HubSpot does not accept the token: make a new one, and set the variable that holds it"
    if outcome.kind is OutcomeKind.AUTH and outcome.detail.startswith("403"):
        return "the token may not make properties: give it the scope crm.schemas.companies.write, or make it by hand"
    if outcome.kind is OutcomeKind.AUTH and outcome.detail.startswith("404"):
        return "HubSpot knows no such path: api_version is not one of its versions"
    return f"HubSpot did not make it: {outcome.detail}"
