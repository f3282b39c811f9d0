"""Pegel's contracts in a schema registry, for those who have one. Workers neither need nor ask it.

Theory of operation. What others read or write is registered as the subject `<topic>-value`, as draft 7 of JSON Schema,
which every registry understands. `desired` says which subjects there are; `standing` compares a registry's newest
version with ours and decides, with a named reason; `client` talks to it. Nothing is ever registered by a producer.

The level is FORWARD_TRANSITIVE: whoever reads by any earlier version can read what is written now. FULL cannot be
meant: to a registry a new optional property of a schema that allows others is a break for what was written before,
which may have had another value there, and it would refuse every addition. What FORWARD leaves out - that old records
stay readable - is held by our own comparison (`schemas.compatibility`), which must agree too.
"""
