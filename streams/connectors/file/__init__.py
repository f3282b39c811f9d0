"""Lines of JSON in a file of this machine. README.md says what it can do."""
