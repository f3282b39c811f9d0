"""Game day: faults are caused on purpose, and the alerts and runbooks have to stand up to it.

    python -m tests.gameday                          all scenarios, some fifteen minutes; writes docs/gameday.md
    python -m tests.gameday --only stage-down        some of them; writes nothing unless --out says where

Theory of operation. `ground` is a whole deployment on this machine: Kafka from jars behind proxies that misbehave on
request, two workers of engagement and one of each other stage, the canary, a stand-in for Slack, and a real
Prometheus that scrapes them all each second. `load` publishes events of accounts that come and stay. The alerts are
those of deploy/prometheus, written by its own program at a quicker pace: windows, `for` and ages are divided, what is
a speed or a share is not.

A scenario (`scenarios`) causes a fault, waits until its alerts fire, then does what the alert's runbook says - with
`pegel` commands, or as the operator who starts what is down - and waits until the alerts are gone. All the while
`watch` notes what fires; `alerts` judges it: what had to fire did, and no page fired that the fault does not explain.
After each scenario `truth` compares logs with logs: nothing published was lost, the transitions are those of a replay
of the account log, and every message arrived at Slack.

`paper` makes the page from the results; `alerts`, `pace` and `paper` are pure.
"""
