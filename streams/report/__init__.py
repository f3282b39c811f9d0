"""Whether a play works: from the log of exposures and the log of transitions to a difference with its interval.

Theory of operation. A play with a holdout draws each account once and for all into `treatment` (told about) or
`control` (not told about), and logs the moment at which it would have told as an *exposure*, for both arms alike. The
play's goal says what it is for: that the account enters or leaves a segment within so many days. So:

* `exposures`: per play the first exposure of each account, and its arm. What happens later does not change either.
* `goals`: which of them reached the goal in time. Where the time is not over yet (*immature*), nobody can know: they
  are counted and left out of both arms.
* `intervals`: the difference of the two shares with Newcombe's interval, and their ratio with the one that agrees.
* `power`: how many accounts it takes to see an effect of a given size. `split`: whether the arms are as large as drawn.
* `judgement`: all of that in one word that people may act on, such as `too_small`.

These modules are pure; `sources` reads the two logs from topics or files, `text` and `page` show the results.
"""
