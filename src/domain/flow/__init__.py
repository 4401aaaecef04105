"""Flows: the documents that people draw, edited one decision at a time."""
