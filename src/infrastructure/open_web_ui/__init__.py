"""OpenWebUI as a platform on which flows are published."""
