"""The console: one line on standard output per message. README.md says what it does."""
