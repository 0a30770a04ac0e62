"""The server beside the bare runtime and beside what most people write: `python -m benchmarks.serving`."""
