"""How many accounts it takes to see an effect of a given size.

Fleiss' formula for two shares with arms of unequal size, without the correction for continuity (Statistical Methods
for Rates and Proportions, chapter 3). It asks how large the arms must be so that an effect of that size is told from
none with the given power, four times out of five by custom.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Final

from streams.report.intervals import two_sided_z

POWER: Final = 0.8
BASELINE_MIN: Final = 0.005
"""A baseline of nothing at all is one that nobody has seen yet: it is taken to be one in two hundred."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Accounts that each arm needs."""

    treatment: int
    control: int

    @property
    def both(self) -> int:
        return self.treatment + self.control


def needed(
    baseline: float, effect: float, control_share: float, confidence: float, power: float = POWER
) -> Needed | None:
    """So many, for `effect` (an absolute difference) above the baseline; None where there is no such share.

    Above is the harder direction below a half, and the easier one beyond it; an effect that does not fit above the
    baseline is looked for below it.
    """
    assert 0 < control_share < 1, control_share
    p1 = min(max(baseline, BASELINE_MIN), 1 - BASELINE_MIN)
    p2 = p1 + effect if p1 + effect < 1 else p1 - effect
    if not (effect > 0 and 0 < p2 < 1):
        return None
    by = (1 - control_share) / control_share  # accounts of the treatment for one of the control
    mean = (p1 + by * p2) / (1 + by)
    under_none = two_sided_z(confidence) * sqrt((1 + 1 / by) * mean * (1 - mean))
    under_effect = NormalDist().inv_cdf(power) * sqrt(p1 * (1 - p1) + p2 * (1 - p2) / by)
    control = ((under_none + under_effect) / (p2 - p1)) ** 2
    return Needed(treatment=ceil(control * by - 1e-9), control=ceil(control - 1e-9))
