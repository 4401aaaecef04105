"""
Sealed states, sealed segments, archives, snapshots; more about projections.

Label: pre (runs before the code that needs it; the code before goes on working).
"""

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PARTS = ("subjects", "segments", "snapshots", "projections")


def upgrade() -> None:
    for part in PARTS:
        _run(f"0002_{part}.sql")


def downgrade() -> None:
    """Remove it again; refused where events need it."""
    _run("0002_life_of_events_down.sql")


def _run(file: str) -> None:
    sql = (files("migrations") / "sql" / file).read_text()
    connection = op.get_bind().execution_options(no_parameters=True)
    connection.exec_driver_sql(sql)
