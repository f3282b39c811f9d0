"""A brute-force model of the contract, made to check the engine against.

It shares no line with the engine. It keeps the list of an account's applied records and works every value out from
that list whenever it is asked, at every instant at which something could change. Where the contract leaves room, each
module says in its docstring how it was read.

``records`` reads a line, ``account`` turns applied records into values, ``terms`` evaluates rules, ``instants`` finds
the times at which a rule may flip without a record, ``segments`` makes one evaluation, ``replay`` runs a log.
``scenarios`` invents small, nasty logs with rules to match.
"""
