"""``langbuilder run``: start the server, and stop it again."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from api.cli.output import Complaint
from api.cli.settings import chosen, data_dir_option
from infrastructure.settings import Settings

BACKLOG = 2048


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 7860]"
)
@data_dir_option
def run(host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Start the server: database, API and page."""
    settings = chosen(host=host, port=port, data_dir=data_dir)
    with _listening(settings) as listener:
        from api.cli.serving import serve  # noqa: PLC0415 - a second, once we have it

        serve(settings, listener)


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """
    Take the address before anything is started.

    Who connects early waits until the server is ready, instead of being refused.
    """
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if error.errno == errno.EADDRINUSE:
            why = "it is in use; choose another port with --port"
        raise Complaint(f"Cannot listen on {host}:{port}: {why}.") from error
    with listener:
        yield listener
