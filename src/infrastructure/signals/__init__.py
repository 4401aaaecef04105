"""Ephemeral words between those who work and those who watch."""
