"""Where large contents lie: by their SHA-256, written once."""
