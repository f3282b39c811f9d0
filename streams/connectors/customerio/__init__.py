"""Customer.io: attributes of accounts, and events of people. README.md in this folder says how to set it up."""
