"""Files of events into Kafka: as they are, or moved to now and played at a pace.

`record` reads a line's arrival and key, `shift` moves its times, `pace` says when it is due: all pure. `publisher`
does it.
"""
