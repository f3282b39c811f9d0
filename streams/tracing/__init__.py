"""Traces of single records, from the product event to the message in Slack. Optional: the extra `tracing`.

Theory of operation. Who publishes an event decides whether it is traced: with a sampled `traceparent` on its record
(`schemas.trace` says how the context goes on). For such a record each stage makes one span, from its application to the
commit that makes its results visible, and the courier one for each decision and attempt:

    send product.events.v1                    the producer; `pegel publish --trace` is one
      process product.events.v1               intake
        process account.events.v1             engagement; says which transitions the event led to
          process segments.transitions.v1     router, once for each transition
            process notifier.inbox.v1         courier, once for each destination
              plan DESTINATION                what was decided, and why
              deliver DESTINATION             one attempt; a gathered message links to all that it tells of

What a deadline, percentiles or a catalog led to has no parent, and is not traced.

`follow` knows the ids, `spans` what a span says, `writer` when a stage's work has ended. Until here everything is plain
data; `outbox` is the bounded way out of the process, and `otlp` alone knows OpenTelemetry, which is imported only where
`configured` finds that spans have somewhere to go. Turned off, no span is made, and the topics hold the same bytes.
"""
