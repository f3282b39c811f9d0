"""What another catalog or a playbook would make of the same events: sizes, who enters and leaves, unrest, messages."""
