"""Protocols between the parts, and the records that they speak."""
