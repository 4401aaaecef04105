"""Threads: the conversations that runs leave behind."""
