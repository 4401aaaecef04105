"""Where finished months go, and how they are read again."""
