"""How Pegel shows the brokers who it is, sees who they are, and says what is wrong where either fails."""
