"""Whether the arms are as large as they were drawn.

Where they are not (*sample ratio mismatch*), something lost accounts of one arm and not of the other, and whatever
did so may have made the difference as well: such a result says nothing. Pearson's chi-square with one degree of
freedom; its distribution is that of a squared normal variable, so `erfc` is all it takes. The bar is low on purpose:
the test is made at every look, and a fault of the split that matters is found far below it.
"""

from math import erfc, sqrt
from typing import Final

SUSPICIOUS_BELOW: Final = 0.001


def chi_square(treatment: int, control: int, control_share: float) -> float:
    """Pearson's statistic of the two counts against the shares that were drawn."""
    both = treatment + control
    expected_control = both * control_share
    expected_treatment = both - expected_control
    return (control - expected_control) ** 2 / expected_control + (treatment - expected_treatment) ** 2 / (
        expected_treatment
    )


def p_of_split(treatment: int, control: int, control_share: float) -> float:
    """How often chance alone makes the arms differ from what was drawn by as much as this, or more."""
    if treatment + control == 0:
        return 1.0
    return erfc(sqrt(chi_square(treatment, control, control_share) / 2))
