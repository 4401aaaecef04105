"""The world that the application needs, one module or folder a technology."""
