"""Microsoft Teams, through a workflow that waits for a webhook. README.md says what it can do."""
