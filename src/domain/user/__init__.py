"""People: who they are, their keys and their variables."""
