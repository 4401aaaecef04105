"""The schema of everything that is not a read model, in Alembic revisions."""
