"""What is open and what was done, for operators: read from the courier's changelog and `playbook.actions.v1`."""
