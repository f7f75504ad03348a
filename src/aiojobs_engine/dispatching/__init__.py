"""From jobs to the store: names, options, envelopes, writes."""
