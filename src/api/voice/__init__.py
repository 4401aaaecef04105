"""Speaking with a flow: what both voice sockets do with what is said and heard."""
