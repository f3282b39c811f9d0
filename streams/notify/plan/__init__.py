"""Pure planning: what should be told to whom, when, in which words; one step a file, each decision with its reason.

`planner` is what there is to call, `pipeline` puts the steps in order, `memory` is all that is remembered, as rows:

    route        which plays wait for this news, and what it is to them
    freshness    is it still news?
    silence      does an operator not want it told?
    inhibit      is the account in a segment beside which it does not matter?
    throttle     was the account told of too recently?
    quiet        is it a time to send anything? on whose clock?
    holdout      is the account held out, to compare with?
    sequence     further messages, and what ends them
    budget       how many a day
    cron, lists, roster    what comes at certain times

Later, per attempt: `render` (the words) and `retry` (what follows from the outcome). Nothing here knows a clock:
`now_ms` is an argument.
"""
