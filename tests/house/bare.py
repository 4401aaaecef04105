"""The web application with nothing behind it: enough to read what routes it has."""

from functools import cache
from unittest.mock import MagicMock

from litestar import Litestar

from api.app import create_app
from infrastructure.settings import load


@cache
def bare_app() -> Litestar:
    """Return every route there is; none of them could be called."""
    application = MagicMock(name="an application that nobody asks anything")
    application.world.settings = load({}, env_file=None)
    application.world.starters = ()
    application.world.components.catalogue.return_value = {}
    application.front_end = None
    return create_app(application)
