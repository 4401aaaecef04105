"""``langbuilder run``: start the server, and stop it again."""

from pathlib import Path

import click

from api.cli.settings import chosen, data_dir_option


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 7860]"
)
@data_dir_option
def run(host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Start the server: database, API and page."""
    settings = chosen(host=host, port=port, data_dir=data_dir)
    from api.cli.serving import serve  # noqa: PLC0415 - help and refusals need no server

    serve(settings)
