"""Other people's models that listen and speak."""
