"""Any HTTP endpoint, signed after the Standard Webhooks specification. README.md says what it does."""
