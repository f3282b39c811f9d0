"""A brute-force model of the contract, made to check the engine against.

It shares no line with the engine. It keeps the list of an account's applied records and works every value out from
that list whenever it is asked, at every instant at which something could change. Where the contract leaves room, each
module says in its docstring how it was read.

``records`` reads a line, ``catalog`` the rules, ``account`` turns applied records into values, ``terms`` evaluates
rules, ``instants`` finds the times at which a rule may flip without a record, ``segments`` makes one evaluation,
``replay`` runs a log. ``reference`` holds the trial and lifecycle segments of the contract's table. ``scenarios``
invents small, nasty logs, with rules from ``rule_grammar`` and decisions from ``sources``.
"""
