"""The same log through the engine and through the brute-force model, in the same words."""

from collections.abc import Iterable
from typing import Any, Final

from schemas.catalog import Catalog
from schemas.dead_letter import Rejected
from schemas.timestamps import format_ms
from streams.engine.found import Transition
from streams.engine.program import compile_catalog
from streams.intake.identity import Identity
from streams.replay.lines import Line
from streams.replay.run import Replay
from tests.model.replay import replay

FIELDS: Final = (
    "account_id", "segment", "direction", "group", "from_segment", "effective_at", "sequence", "entered_at",
)  # fmt: skip


def by_engine(lines: Iterable[str], catalog: dict[str, Any], until_ms: int | None) -> list[dict[str, Any]]:
    run = Replay(compile_catalog(Catalog.model_validate(catalog)), Identity().take, until_ms)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                run.feed(Line("scenario", number, line.strip().encode()))
            except Rejected:
                continue
    return [_plain(transition) for transition in run.finish()]


def by_model(lines: Iterable[str], catalog: dict[str, Any], until_ms: int | None) -> list[dict[str, Any]]:
    return [
        {field: transition[field] for field in FIELDS} | {"trigger": _plain_trigger(transition["trigger"])}
        for transition in replay(lines, catalog, until_ms)
    ]


def _plain(transition: Transition) -> dict[str, Any]:
    entered_at, trigger = transition.entered_at, transition.trigger
    plain = {field: getattr(transition, field) for field in FIELDS}
    return plain | {
        "effective_at": format_ms(transition.effective_at),
        "entered_at": None if entered_at is None else format_ms(entered_at),
        "trigger": trigger if isinstance(trigger, str) else "message",
    }


def _plain_trigger(trigger: dict[str, Any]) -> str:
    return str(trigger["type"])


def first_difference(engine: list[dict[str, Any]], model: list[dict[str, Any]]) -> str:
    for place, (found, wanted) in enumerate(zip(engine, model, strict=False)):
        if found != wanted:
            return f"transition {place}: the engine has\n  {found}\nthe model\n  {wanted}"
    return f"the engine has {len(engine)} transitions, the model {len(model)}"
