"""The listeners that come with the engine."""
