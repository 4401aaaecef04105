"""Files: what people upload, each under a name of its own."""
