"""The stores, unknown to each other; a URL names one."""
