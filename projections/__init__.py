"""What can be asked: one folder a question, and the daemon that keeps them fresh."""
