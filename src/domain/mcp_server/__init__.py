"""MCP servers of others, whose tools somebody's flows may call."""
