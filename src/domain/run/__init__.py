"""Runs: one execution of one exact flow version."""
