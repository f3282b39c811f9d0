"""Delivery: per destination, in order per account, at the pace and in the state of health that the destination has.

`lanes` (one queue per account), `pace` (how fast), `breaker` (whether at all) and `dispatch`, which asks the three
what may start, are plain values driven by `now_ms`; `courier` is the loop around one destination's dispatch and
connector, and `desk` holds the couriers of a worker. A destination shares nothing with another: no queue, no
connection, no loop.
"""
