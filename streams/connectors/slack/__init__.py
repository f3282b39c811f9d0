"""Slack, through an incoming webhook (`slack`) or as a bot (`slack_bot`). README.md says what each can do."""
