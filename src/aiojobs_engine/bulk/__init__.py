"""Imports: from a file of rows to chunks, handlers and failed rows."""
