"""The same work for each rival, in an environment of its own: `make bench-peers`."""
