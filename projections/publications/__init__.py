"""On which platforms flows are published, and were."""
