"""What clients of OpenAI's protocol are answered: flows are their models."""
