"""Pure planning: what should be told to whom, when, in which words; one step a file, each decision with its reason.

`route` (which plays wait for this news) -> `freshness` (is it still news?) -> `planning` (the deliveries) -> later, per
attempt: `render` (the words) and `retry` (what follows from the outcome). Nothing here knows a clock: `now_ms` is an
argument.
"""
