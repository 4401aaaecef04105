"""Where MCP servers are kept for reading; how they are reached lies in the vault."""

from sqlalchemy import Column, Index, MetaData, Table, Text, Uuid

METADATA = MetaData()

MCP_SERVERS = Table(
    "mcp_servers",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("secret", Uuid, nullable=False),
    Index("mcp_servers_of_owner", "owner"),
)
