"""Quarantine: a job that took two workers with it runs alone, in a process of its own.

The worker keeps the lease and finalizes; the child runs the handler and answers with what became of it. A
child that ends without an answer is a lost worker, counted as one crash of this job and of no other.
"""

from aiojobs_engine.isolation.parent import isolate_for

__all__ = ["isolate_for"]
