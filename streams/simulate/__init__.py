"""What another catalog would make of the same events: sizes, who enters and leaves, unrest, messages."""
