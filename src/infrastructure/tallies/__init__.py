"""Counts of how often something happened lately."""
