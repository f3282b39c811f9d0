"""What an event name means to a catalog, looked up once per record instead of once per question.

A record counts under its own name, and under those of named events whose condition it satisfies. `Naming` is all that
follows from the names together; where no condition has to be asked, it is made when the catalog is compiled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.catalog import BILLING_EVENTS, Aggregate, Catalog
from streams.engine.rules.judge import Where
from streams.engine.rules.slots import Slots, sequence_key

NPS_EVENT: Final = "nps_answered"
DEFAULT_WEIGHT: Final = 1_000
WEIGHT_UNIT: Final = 1_000
"""Weights are kept as integers: thousandths."""


@dataclass(frozen=True, slots=True)
class NamePlan:
    """What has to be done where a record counts under one name."""

    signal: bool = False
    weight: int | None = None
    """Thousandths, if the catalog lists one."""
    core: int = -1
    """Its place among the core features; -1: it is none."""
    counted_at: int = -1
    """Its place among the names counted in windows; -1: no rule asks."""
    is_value_event: bool = False
    steps: tuple[tuple[str, int], ...] = ()
    """Checklist steps: key and count."""
    measures: tuple[tuple[str, Aggregate, tuple[str, ...]], ...] = ()
    """Measure, aggregate and the property's path."""
    pairs: tuple[tuple[str, str, int], ...] = ()
    """Sequences that it completes: the first event, the key of the pair, and how far apart they may be in ms."""


@dataclass(frozen=True, slots=True)
class Naming:
    """All names of one record, its own first."""

    names: tuple[str, ...]
    plans: tuple[NamePlan, ...]
    is_activity: bool
    """A track, page or screen event, and under no name a signal."""
    is_billing: bool
    is_nps: bool
    weight: int
    """Thousandths: that of the first named event that has one, else of its own name."""

    @property
    def is_fact(self) -> bool:
        """It says something that holds however late it comes."""
        return self.is_billing or self.is_nps


NAMES_KNOWN_MAX: Final = 10_000
"""Names that no catalog mentions are looked up as often as others; producers who make up ever new ones gain nothing."""
NAMELESS: Final = Naming((), (), is_activity=False, is_billing=False, is_nps=False, weight=0)
_UNMENTIONED: Final = NamePlan()


@dataclass(frozen=True)
class Names:
    """The names that a catalog mentions. Others are counted, and mean nothing more."""

    plans: Mapping[str, NamePlan]
    seconds: Mapping[str, tuple[tuple[str, Where], ...]]
    """Per event its second names and their conditions, in catalog order."""
    _alone: dict[str, Naming] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._alone.update((name, self._together((name,))) for name in self.plans if name not in self.seconds)

    def plan_of(self, name: str) -> NamePlan:
        return self.plans.get(name, _UNMENTIONED)

    def naming_of(self, name: str, properties: dict[str, Any]) -> Naming:
        """What a record of this event name counts as."""
        known = self._alone.get(name)
        if known is not None:
            return known
        seconds = self.seconds.get(name)
        if seconds is None:
            if len(self._alone) >= NAMES_KNOWN_MAX:
                return self._together((name,))
            known = self._alone[name] = self._together((name,))
            return known
        return self._together((name, *(second for second, where in seconds if where(properties))))

    def _together(self, names: tuple[str, ...]) -> Naming:
        plans = tuple([self.plan_of(name) for name in names])
        own = names[0]
        weight = next((plan.weight for plan in (*plans[1:], plans[0]) if plan.weight is not None), DEFAULT_WEIGHT)
        return Naming(
            names=names,
            plans=plans,
            is_activity=not any(plan.signal for plan in plans),
            is_billing=own in BILLING_EVENTS,
            is_nps=own == NPS_EVENT,
            weight=weight,
        )


def names_of_catalog(
    catalog: Catalog,
    slots: Slots,
    core_features: Mapping[str, int],
    steps: Mapping[str, tuple[tuple[str, int], ...]],
    seconds: Mapping[str, tuple[tuple[str, Where], ...]],
) -> Names:
    """Every name that the catalog mentions, and what it means."""
    measures: dict[str, tuple[tuple[str, Aggregate, tuple[str, ...]], ...]] = {}
    for measure, declared in catalog.measures.items():
        entry = (measure, declared.aggregate, tuple(declared.property.split(".")))
        measures[declared.event] = (*measures.get(declared.event, ()), entry)
    pairs: dict[str, tuple[tuple[str, str, int], ...]] = {}
    for first, second, within_ms in slots.sequences:
        pairs[second] = (*pairs.get(second, ()), (first, sequence_key(first, second, within_ms), within_ms))
    mentioned: Sequence[str] = [
        *catalog.weights, *catalog.signals, *core_features, *slots.events, *steps, *measures, *pairs, *seconds,
        *catalog.events, *BILLING_EVENTS, NPS_EVENT, catalog.value_event or "",
    ]  # fmt: skip
    plans = {
        name: NamePlan(
            signal=name in catalog.signals,
            weight=int(catalog.weights[name] * WEIGHT_UNIT) if name in catalog.weights else None,
            core=core_features.get(name, -1),
            counted_at=slots.events.index(name) if name in slots.events else -1,
            is_value_event=name == catalog.value_event,
            steps=steps.get(name, ()),
            measures=measures.get(name, ()),
            pairs=pairs.get(name, ()),
        )
        for name in mentioned
    }
    return Names(plans, seconds)
