"""The Model Context Protocol: flows as tools, for the clients of others."""
