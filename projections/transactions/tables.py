"""Where it is kept for reading what went along which edge of a run."""

from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Table, Text, Uuid

from projections.contents import content_columns

METADATA = MetaData()

TRANSACTIONS = Table(
    "transactions",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("vertex_id", Text, nullable=False),
    Column("target_id", Text),
    Column("flow_id", Uuid, nullable=False),
    Column("run_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("error", Text),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Index("transactions_of_flow", "flow_id", "position", "ordinal"),
    Index("transactions_by_age", "at", postgresql_using="brin"),
)

RESULTS = Table(
    "transaction_results",
    METADATA,
    Column("run_id", Uuid, primary_key=True),
    Column("vertex", Text, primary_key=True),
    Column("flow_id", Uuid, nullable=False),
    *content_columns(),
    Index("transaction_results_of_flow", "flow_id"),
)

# Deletions come from the other log, in no order to the runs: they are kept.
GONE = Table(
    "transaction_flows_gone", METADATA, Column("flow_id", Uuid, primary_key=True)
)
