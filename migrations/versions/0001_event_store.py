"""
The event logs and their side tables.

Label: pre (runs before the code that needs it).
"""

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _run("0001_event_store.sql")


def downgrade() -> None:
    """Remove everything; refused where there are events, for they are history."""
    _run("0001_event_store_down.sql")


def _run(file: str) -> None:
    sql = (files("migrations") / "sql" / file).read_text()
    connection = op.get_bind().execution_options(no_parameters=True)
    connection.exec_driver_sql(sql)
