"""Grafana's dashboards for Pegel: what they ask, and the program that writes them.

Theory of operation. A board is typed Python: rows of panels, each a question with the queries that answer it (`board`,
and one module a board). `draw` makes Grafana's own model of it with Grafana's builders; `python -m deploy.grafana`
writes that to `dashboards/`, which is committed, and a test holds it to this code. `provisioning/` lets a Grafana find
both Prometheus and the boards.

Where an objective or an alert has a limit, the panel draws the same one, from the same constant (`deploy.prometheus`).
Every metric and label of a query is one of `streams.metrics`, of the recorded series of `deploy.prometheus`, or
Prometheus' own; tests hold this, and run every query in a real Prometheus that has scraped real workers.
"""
