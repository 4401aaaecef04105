"""Why a server could not start, in words for the person who started it."""


class CannotStartError(Exception):
    """The server cannot start; the message is one clear line."""
