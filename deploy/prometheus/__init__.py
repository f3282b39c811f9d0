"""Prometheus' rules for Pegel: what they are, how they are tried, and the program that writes them.

Theory of operation. Rules are typed Python (`slos`, `canary`, `workers`, `pipeline`, `delivery`, `heartbeat`), made
for a `Site`: where its runbooks and dashboards are, which jobs scrape it, how much memory a worker has, and at which
pace time goes. `python -m deploy.prometheus` writes them to `rules/`, and next to it the cases (`cases`) as files for
`promtool test rules`; both are committed, and a test holds them to this code. Another site writes its own:

    python -m deploy.prometheus --out /etc/prometheus/pegel --runbooks https://wiki.example.com/pegel ...

Two severities wake people differently. A **page** is a symptom that users feel, or will before morning; a **ticket**
is a cause, or a symptom that can wait. No cause pages: what it does to users has a page of its own, and the cause's
ticket says where to look. `heartbeat` always fires, so that silence is noticed.
"""
