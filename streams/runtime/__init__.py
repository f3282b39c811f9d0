"""Runs stages on Faust and Kafka, exactly once.

Where things are:

    stage         what a stage owes the runtime (pure); everything else here serves these few methods
    worker        the life of one process: start, signals, the ways to end
    family        several workers as processes that end together

    faust_app     the Faust app: consumer group and agent, and nothing of Faust's that is not used
    transport     the seams in Faust's transport: batches instead of events
    raw_records   ... and records as the client's C extension made them
    assignor      who gets which partition

    assignment    the strict order on a rebalance: flush, drop, fence, load, seek
    partition     how far one partition has come, and the proof that nothing was skipped
    changelog     loading state;  position: the changelog's own row
    transaction   one flush as one Kafka transaction;  partitioner: where keys go
    producer      ... by the second protocol where there is one;  transaction_requests: what that is on the wire
    record_batch  ... and batches
    flush         when to flush, and that nothing goes on if one fails
    ticks         wall clock for stages

    failure       fail stop: the first error decides
    watchdog      ends what hangs;  vitals: the signs of life it reads
    health        /livez /readyz /metrics;  export: from plain counts to metrics
    preflight     what must be true on the cluster first
    logs, memory, options

Faust is known to the second group alone, Kafka's clients to it and to `transaction`, `producer`, `changelog` and
`preflight`; the rest deals in plain values and the clients' error types.
"""
