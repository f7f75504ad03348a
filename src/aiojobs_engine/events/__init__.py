"""How events reach people and programs: in this process by the bus, from all processes by the stream."""
