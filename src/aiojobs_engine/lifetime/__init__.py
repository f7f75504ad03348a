"""An engine's life: what it holds while it is open, and the worker that it may host."""
