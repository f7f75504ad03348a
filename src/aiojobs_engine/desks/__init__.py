"""The desks of an engine, where people and programs look at jobs, queues and workers, and intervene."""
