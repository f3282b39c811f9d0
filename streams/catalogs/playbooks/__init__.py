"""The playbooks that come with Pegel: `starter` tells Slack, `console` the terminal, both in the words of `plays`.

`samples.ndjson` has entries into each segment of the default catalog, to preview messages on.
"""
