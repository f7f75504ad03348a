"""What a job is and what may become of it: no I/O, no clock, no asyncio, no logging."""
