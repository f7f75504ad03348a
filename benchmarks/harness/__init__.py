"""What the scenarios share: worker processes, counters in shared memory, and how figures are printed."""
