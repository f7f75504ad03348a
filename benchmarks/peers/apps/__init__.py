"""One module per rival: its jobs, its worker's settings, and how jobs are sent to it.

They run in the rival's own environment, so they import nothing of the engine. `opened()` is an async
context manager around `send(task, number)` and, where there is one, `send_many(task, numbers)`; `serve()`
runs a worker where the rival has no command for it.
"""
