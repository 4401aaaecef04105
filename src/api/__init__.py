"""The ways in: HTTP, the command line, and the one place where adapters meet."""
