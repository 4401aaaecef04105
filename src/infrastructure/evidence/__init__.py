"""Proof that history was not changed: sealed segments, and how they are verified."""
