"""What every connector owes, whatever its provider."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.connectors.contract import BatchConnector, Connector
from streams.connectors.dialects import escape
from streams.connectors.message import Link, MessageKind, Rendered
from streams.connectors.outcome import OutcomeKind
from streams.connectors.registry import CONNECTORS
from tests.unit.connectors.kit import TIMEOUT_S, Case, Kit, Rig, message
from tests.unit.connectors.kits import KITS

K = OutcomeKind
MEMORY_BYTES_MAX = 24 << 20
PATIENCE_S_MAX = 6.0
UNKNOWN = (Case.LANDED, Case.LANDED_LATE, Case.LOST)
UNBOUNDED = (Case.HTML_PAGE, Case.BOMB, Case.ENDLESS, Case.TRICKLE)

each_kit = pytest.mark.parametrize("kit", KITS, ids=[kit.name for kit in KITS])


def where(*cases: Case) -> pytest.MarkDecorator:
    """Every kit whose provider can be put into that situation, with it."""
    found = [(kit, case) for kit in KITS for case in cases if case in kit.cases]
    return pytest.mark.parametrize(("kit", "case"), found, ids=[f"{kit.name}-{case}" for kit, case in found])


@asynccontextmanager
async def running(kit: Kit, directory: Path, timeout_s: float = 5.0) -> AsyncIterator[tuple[Rig, Connector]]:
    async with kit.open(directory) as rig:
        connector = kit.connector(rig.config(timeout_s))
        try:
            yield rig, connector
        finally:
            await connector.close()


def patience_s(case: Case) -> float:
    """Short where the provider does not answer at all, long where it does: the machine may be busy."""
    return TIMEOUT_S if case in {Case.LANDED_LATE, Case.TRICKLE} else 5.0


def test_every_connector_has_a_kit() -> None:
    assert {kit.name for kit in KITS} == set(CONNECTORS)


@each_kit
async def test_what_is_taken_has_landed_once_and_has_a_ref_where_the_provider_gives_one(
    kit: Kit, tmp_path: Path
) -> None:
    async with running(kit, tmp_path) as (rig, connector):
        outcome = await connector.deliver(message())
        assert (outcome.kind, outcome.detail) == (K.OK, "")
        assert bool(outcome.ref) is kit.gives_ref
        assert len(rig.landed()) == 1


@where(*(case for case in Case if case not in {*UNKNOWN, *UNBOUNDED}))
async def test_every_situation_has_its_outcome_and_then_it_goes_on(kit: Kit, case: Case, tmp_path: Path) -> None:
    async with running(kit, tmp_path, patience_s(case)) as (rig, connector):
        rig.meet(case)
        first = await connector.deliver(message())
        assert first.kind is kit.expected(case)
        assert (first.kind is K.OK) or first.detail
        if case is Case.TOO_FAST:
            assert (first.scope, first.after_s) == kit.throttle
        await goes_on(kit, rig, unknown=first.kind is K.AMBIGUOUS)


async def goes_on(kit: Kit, rig: Rig, *, unknown: bool) -> None:
    """With all well again, the next attempt gets through."""
    rig.recover()
    connector = kit.connector(rig.config())
    again = await connector.deliver(message(2, after_ambiguous=unknown))
    await connector.close()
    assert again.kind is K.OK
    assert rig.landed()


@where(*UNKNOWN)
async def test_a_repeat_after_nobody_knows_lands_once_where_the_provider_can_tell(
    kit: Kit, case: Case, tmp_path: Path
) -> None:
    async with running(kit, tmp_path, patience_s(case)) as (rig, connector):
        rig.meet(case)
        first = await connector.deliver(message())
        assert first.kind is kit.expected(case)
        assert first.detail
        assert len(rig.landed()) == (0 if case is Case.LOST else 1)
        await goes_on(kit, rig, unknown=True)
        assert len(rig.landed()) == (1 if kit.type.deduplicates or case is Case.LOST else 2)


@each_kit
async def test_a_restart_that_lost_an_attempts_end_is_safe_where_the_provider_can_tell(
    kit: Kit, tmp_path: Path
) -> None:
    async with kit.open(tmp_path) as rig:
        for attempt in (1, 2):
            connector = kit.connector(rig.config())
            assert (await connector.deliver(message(attempt, after_ambiguous=attempt == 2))).kind is K.OK
            await connector.close()
            rig.recover()
        assert len(rig.landed()) == (1 if kit.type.deduplicates else 2)


@where(*UNBOUNDED)
async def test_an_answer_costs_little_time_and_memory_whatever_it_is(kit: Kit, case: Case, tmp_path: Path) -> None:
    async with running(kit, tmp_path, patience_s(case)) as (rig, connector):
        rig.meet(case)
        tracemalloc.start()
        began = time.monotonic()
        outcome = await connector.deliver(message())
        took_s = time.monotonic() - began
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert outcome.kind is kit.expected(case)
        assert peak < MEMORY_BYTES_MAX
        assert took_s < PATIENCE_S_MAX
        await goes_on(kit, rig, unknown=outcome.kind is K.AMBIGUOUS)


@each_kit
@pytest.mark.parametrize("kind", MessageKind)
async def test_every_kind_of_message_is_taken(kit: Kit, kind: MessageKind, tmp_path: Path) -> None:
    news = message()
    items = {
        MessageKind.NOTE: news.items,
        MessageKind.DIGEST: news.items * 20,
        MessageKind.LIST: tuple({"account_id": f"a{number}", "segment": "at_risk"} for number in range(20)),
        MessageKind.TEST: (),
    }[kind]
    async with running(kit, tmp_path) as (rig, connector):
        leading = items[0] if items else {}
        told = replace(news, kind=kind, transition=leading, items=items, owner="anna@example.com")
        outcome = await connector.deliver(told)
        if kit.type.latest_wins and kind is MessageKind.LIST:
            # Members say nothing of what changed. To take them in silence would look like a delivery.
            assert (outcome.kind, outcome.detail) == (K.REJECTED, "no_transition")
            assert not rig.landed()
        else:
            assert outcome.kind is K.OK
            assert len(rig.landed()) == (1 if kind is not MessageKind.TEST or kit.test_lands else 0)


texts = st.text(max_size=400)
accounts = st.one_of(
    st.sampled_from(["..", ".", "a/b", "../../etc/passwd", "a b", "a%2Fb", "<!channel>", "a\r\nBcc: x@y.z", "ä" * 200]),
    st.text(min_size=1, max_size=200),
)


@each_kit
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=st.text(min_size=1, max_size=400), body=st.text(max_size=20_000), account=accounts, more=texts)
def test_no_text_gets_beyond_a_providers_limits(
    kit: Kit, title: str, body: str, account: str, more: str, tmp_path: Path
) -> None:
    """It is taken; or the connector refuses by itself, without asking, what the provider could only refuse."""
    rendered = Rendered(title, escape(body, kit.type.dialect), (Link(more, f"https://example.com/{more}"),) * 6)

    async def delivered() -> None:
        async with running(kit, tmp_path) as (rig, connector):
            before = len(rig.landed())
            told = message(account=account, rendered=rendered, owner=more or None, facts={"name": more, "owner": title})
            outcome = await connector.deliver(told)
            if outcome.kind is not K.OK:
                assert outcome.kind is K.REJECTED
                assert len(rig.landed()) == before
                assert not (server := getattr(rig, "server", None)) or not server.asked(kit.http.route)  # type: ignore[union-attr]
            else:
                assert len(rig.landed()) == before + 1

    asyncio.run(delivered())


@each_kit
async def test_no_secret_is_shown_anywhere(kit: Kit, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    shown: list[str] = []
    async with running(kit, tmp_path, TIMEOUT_S) as (rig, connector):
        config = rig.config(TIMEOUT_S)
        for case in sorted(kit.cases - {Case.TRICKLE}):
            rig.meet(case)
            shown.append(repr(await connector.deliver(message())))
        shown += [repr(config), str(config), repr(connector), str(vars(connector)), config.model_dump_json()]
    assert not [secret for secret in kit.secrets if secret in "\n".join(shown)]
    assert not [secret for secret in kit.secrets if secret in caplog.text]


batch_kits = [kit for kit in KITS if kit.type.batch_max > 1]


@pytest.mark.parametrize("kit", batch_kits, ids=[kit.name for kit in batch_kits])
@pytest.mark.parametrize("poisoned", [None, 0, 2, 4])
async def test_a_batch_has_an_outcome_for_each_in_order(kit: Kit, poisoned: int | None, tmp_path: Path) -> None:
    count = min(5, kit.type.batch_max)
    accounts = [kit.account(number) for number in range(count)]
    async with running(kit, tmp_path) as (rig, connector):
        assert isinstance(connector, BatchConnector)
        if poisoned is not None:
            assert kit.poison is not None
            kit.poison(rig, accounts[poisoned])
        batch = [message(account=name, delivery_id=f"d-{number}") for number, name in enumerate(accounts)]
        outcomes = await connector.deliver_batch(batch)
        expected = [K.REJECTED if number == poisoned else K.OK for number in range(count)]
        assert [outcome.kind for outcome in outcomes] == expected
        assert len(rig.landed()) == count - (poisoned is not None)


@each_kit
async def test_who_takes_batches_says_so(kit: Kit, tmp_path: Path) -> None:
    async with running(kit, tmp_path) as (_, connector):
        assert isinstance(connector, BatchConnector) is (kit.type.batch_max > 1)
