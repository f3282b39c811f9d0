"""A stand-in for Slack's incoming webhooks, on this machine: strict where Slack is, forgetful, and easy to break.

`rules` knows what Slack refuses, `server` answers as Slack answers and keeps the last messages, `page` shows them
like a channel. Tests script faults with it; `pegel dev slack` and `make run` show it to people.
"""

from streams.dev.slack.server import Fault, SlackStandIn, StoredMessage

__all__ = ["Fault", "SlackStandIn", "StoredMessage"]
