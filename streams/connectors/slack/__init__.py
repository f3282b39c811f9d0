"""Slack, through an incoming webhook.

One webhook posts to one channel. Its URL is the credential, so it comes from the environment and is shown nowhere:

    destinations:
      - id: sales
        type: slack
        url: ${PEGEL_SLACK_WEBHOOK_URL}

What Slack gives and what it does not:

* At most one message a second and channel, so `rate_per_s` is 1 by default. That is per worker: several workers that
  share a channel get a 429 now and then, wait as long as Slack says, and lose nothing.
* No idempotency key. If a message was sent and the answer lost, it is sent again and may stand there twice: the
  guarantee is *at least once*. Every message carries its delivery id as `block_id`, so a repeat can be told.
* `answers` is the table of Slack's statuses and plain-text errors. An archived channel or a removed webhook is `GONE`;
  a revoked token or an administrator's ban is `AUTH`: a human must act, and nothing is thrown away meanwhile.

Endpoints that imitate Slack's (Mattermost, Rocket.Chat, the stand-in of `pegel dev slack`) work as well;
`allow_http: true` lets the URL be one of this machine.
"""
