"""Any HTTP endpoint, signed after the Standard Webhooks specification.

    destinations:
      - id: crm-bridge
        type: webhook
        url: ${PEGEL_CRM_BRIDGE_URL}
        secret: ${PEGEL_CRM_BRIDGE_SECRET}     # whsec_..., 24 to 64 bytes

The body is `{"type": "pegel.segment.transition.v1", "timestamp": ..., "data": {...}}`, where `data` holds the
transition as it stands on the log, the play and the rendered text. Headers: `webhook-id` is the delivery id, the same
on every attempt, so a receiver that remembers ids sees everything exactly once; `webhook-timestamp` is the attempt's;
`webhook-signature` is `v1,` and the HMAC-SHA256 of `id.timestamp.body` with the secret. Libraries that check it exist
for every common language.

A receiver answers 2xx within `timeout_s`. 410 says that it is gone for good, 429 that it wants a pause (`Retry-After`
is honoured), 502 and 504 likewise; `answers` has the rest. Redirects are not followed. URLs must be https and lead to
public addresses; `allow_networks: [10.0.0.0/8]` names inner networks that are allowed, over plain http too, and
`allow_http: true` allows this machine.
"""
