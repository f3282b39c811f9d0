"""State from the log: what a partition's accounts must be, recomputed by the stage that the workers run."""
