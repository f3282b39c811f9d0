"""Signed links: what a message leads to comes back as an event.

Theory of operation. A template writes `{{ url | tracked }}`; the notifier signs the address together with the delivery
and the account that it is for (`token`), and the message carries a link to `pegel link serve`. Whoever follows it is
led on to exactly what was signed, for the service knows no other targets: it is no open redirect. Each visit that may
be a person's (`visit`) becomes the event `pegel_link_clicked` in product.events.v1 (`click`, `clicks`); the redirect
never waits for Kafka. `token`, `visit` and `click` are pure, `server` is the service.
"""
