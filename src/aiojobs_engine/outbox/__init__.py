"""Jobs that are stored with the application's own data, and relayed from there to the engine."""
