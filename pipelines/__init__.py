"""What runs: one file for each process that a person can start; wiring, no rules."""
