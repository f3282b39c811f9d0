"""Confidence intervals of a share, of the difference of two shares, and of their ratio.

A share has Wilson's score interval (1927). The difference of two has Newcombe's hybrid score interval, "method 10" of
his comparison of eleven (Statistics in Medicine 17, 1998, 873-890): it stays within -1 and 1, it keeps close to its
level for small arms and for shares near 0 or 1, where the textbook interval fails, and it takes four lines. The ratio
has Donner and Zou's MOVER-R (Statistical Methods in Medical Research 21, 2012, 347-359) on the same Wilson limits. The
two agree: one leaves out 0 exactly where the other leaves out 1, so a report never contradicts itself.
"""

from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    estimate: float
    low: float
    high: float

    def leaves_out(self, value: float) -> bool:
        return not self.low <= value <= self.high


def two_sided_z(confidence: float) -> float:
    """1.96 of 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def share(reached: int, of: int, confidence: float) -> Interval:
    """Wilson's score interval."""
    assert 0 <= reached <= of, (reached, of)
    assert of > 0, of
    z2 = two_sided_z(confidence) ** 2
    p = reached / of
    middle = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = sqrt(z2 * (p * (1 - p) / of + z2 / (4 * of * of))) / (1 + z2 / of)
    # At the ends the limit is the share itself; rounding would put it a hair beside it.
    return Interval(p, 0.0 if reached == 0 else middle - half, 1.0 if reached == of else middle + half)


def difference(treatment: Interval, control: Interval) -> Interval:
    """Newcombe's interval of treatment minus control, from the Wilson intervals of both."""
    estimate = treatment.estimate - control.estimate
    down = sqrt((treatment.estimate - treatment.low) ** 2 + (control.high - control.estimate) ** 2)
    up = sqrt((treatment.high - treatment.estimate) ** 2 + (control.estimate - control.low) ** 2)
    return Interval(estimate, estimate - down, estimate + up)


def ratio(treatment: Interval, control: Interval) -> Interval:
    """MOVER-R of treatment by control; without an upper limit where the control's share may be nothing."""
    one, other = treatment, control
    product = one.estimate * other.estimate
    top_low = one.low * (2 * one.estimate - one.low)
    top_high = one.high * (2 * one.estimate - one.high)
    under_low = other.high * (2 * other.estimate - other.high)
    under_high = other.low * (2 * other.estimate - other.low)
    # The lower limit in the form that divides by a sum: the usual one divides by `under_low`, which may be nothing.
    below = product + sqrt(max(0.0, product * product - top_low * under_low))
    low = top_low / below if below else 0.0
    high = (product + sqrt(max(0.0, product * product - top_high * under_high))) / under_high if under_high else inf
    return Interval(one.estimate / other.estimate if other.estimate else inf, low, high)
