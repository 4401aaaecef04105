"""How Alembic reaches the database: by the connection that migrate.py holds."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="es",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
