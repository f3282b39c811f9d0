"""Is a deployment as it must be? `gather` and `state` fetch facts, `checks` judges them, `report` shows it."""
