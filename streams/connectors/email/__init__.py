"""E-mail, over SMTP. README.md says what it can do."""
