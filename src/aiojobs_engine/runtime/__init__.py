"""The worker: one agent per file."""
