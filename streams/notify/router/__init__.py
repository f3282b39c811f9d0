"""The router: gives each transition to the destinations that may want to know of it. It decides nothing more."""
