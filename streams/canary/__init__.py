"""The canary: accounts of its own that cross a segment on schedule, so that a break that is silent is noticed."""
