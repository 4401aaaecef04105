"""One module a provider, each loaded when its first model is asked for."""
