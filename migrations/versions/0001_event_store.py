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
    sql = (files("migrations") / "sql" / "0001_event_store.sql").read_text()
    connection = op.get_bind().execution_options(no_parameters=True)
    connection.exec_driver_sql(sql)


def downgrade() -> None:
    """Remove everything, events included: only for a database without any."""
    connection = op.get_bind().execution_options(no_parameters=True)
    connection.exec_driver_sql(
        """
        DO $$
        BEGIN
            IF EXISTS (SELECT FROM es.core_events) OR EXISTS (SELECT FROM es.runs_events) THEN
                RAISE EXCEPTION 'there are events: history is not removed by a downgrade';
            END IF;
        END $$;
        DROP VIEW es.core, es.runs;
        DROP TABLE
            es.core_events, es.runs_events, es.commands, es.claims, es.ownership,
            es.contents, es.vault, es.subject_keys, es.leases, es.canvas, es.sessions,
            es.sign_in_links, es.api_key_uses, es.projections, es.dead_letters;
        DROP SEQUENCE es.core_position, es.runs_position;
        DROP FUNCTION es.create_run_partitions(integer), es.first_id_at(timestamptz);
        """
    )
