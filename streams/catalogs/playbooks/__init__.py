"""The playbooks that come with Pegel: `starter` tells Slack, `console` the terminal, both in the words of `plays`."""
