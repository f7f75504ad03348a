"""The store in Redis or Valkey, for any number of machines: one server, Sentinel or Cluster."""
