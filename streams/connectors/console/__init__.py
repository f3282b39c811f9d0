"""The console: one line on standard output per message, for first steps and for pipes.

    destinations:
      - id: console
        type: console

A line is tab-separated: time, account, title, body (its lines joined by ` / `). A reader that went away is a
destination that is unwell: deliveries wait for it like for any other.
"""
