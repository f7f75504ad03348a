"""Requests to addresses that users give: only where they may go, only as much as they may bring."""
