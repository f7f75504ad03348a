"""What a worker tells about itself to tools: traces, metrics, logs."""
