"""For every rule that alerts: a case in which it fires, and one that nearly is the same, in which it stays silent.

Cases are typed Python and become files for `promtool test rules`. What a case expects of a firing alert is its labels
and its description as on-call reads it; the rest of its text is the rule's.
"""

from deploy.prometheus.cases import canary as canary_cases
from deploy.prometheus.cases import delivery, pipeline, slos, workers
from deploy.prometheus.cases.case import Case

CASES: tuple[Case, ...] = (
    *slos.CASES, *canary_cases.CASES, *workers.CASES, *pipeline.CASES, *delivery.CASES,
)  # fmt: skip
