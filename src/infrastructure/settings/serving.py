"""Settings of where the server listens, and how much it takes in."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from infrastructure.settings.kinds import Count, Rate, says

MEGABYTE = 1024 * 1024


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens."""

    host: Annotated[str, says("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), says("Port to listen on.")] = 7860
    trusted_proxies: Annotated[
        tuple[str, ...],
        says(
            "Reverse proxies that are believed: addresses or networks, separated by "
            "commas.",
            "127.0.0.1,10.0.0.0/8",
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        says(
            "Origins whose pages may call the API, separated by commas.",
            "https://flows.example.org",
        ),
    ] = ()
    frontend_path: Annotated[
        str | None,
        says(
            "Folder of a built front end (LangBuilder's, or one like it) to serve at "
            "`/` instead of the server's own page.",
            "/srv/langbuilder-frontend",
        ),
    ] = None
    show_docs: Annotated[
        bool,
        says("Show the API's description at `/docs` and `/openapi.json`, to anybody."),
    ] = True
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        says("How much is logged: debug, info, warning or error."),
    ] = "info"
    log_retriever_buffer_size: Annotated[
        int,
        Meta(ge=0, le=100_000),
        says(
            "Lines of the log that superusers may read at `/logs`; 0 keeps none.", 1000
        ),
    ] = 0


class Limits(Serving, frozen=True, kw_only=True):
    """How much it takes in."""

    max_json_body_bytes: Annotated[
        Count, says("Largest JSON body accepted, in bytes; larger ones get a 413.")
    ] = 32 * MEGABYTE
    max_file_size_upload: Annotated[Count, says("Largest file, in megabytes.")] = 1024
    max_concurrent_uploads: Annotated[
        Count, says("Files that a server takes in at once; beyond it, 503.")
    ] = 64
    max_concurrent_uploads_per_user: Annotated[
        Count, says("How many of them one user may send; beyond it, 429.")
    ] = 16
    files_quota_mb: Annotated[
        Rate, says("Megabytes that all files of one user may take; 0 sets no limit.")
    ] = 10_240
    file_types: Annotated[
        tuple[str, ...],
        says(
            "Endings of files that may be uploaded, separated by commas; all if empty.",
            "txt,md,csv,json,pdf,png,jpg",
        ),
    ] = ()
    rate_limit_sign_in: Annotated[
        Rate, says("Sign-ins and sign-ups a minute from one address; 0: any number.")
    ] = 300
    rate_limit_runs: Annotated[
        Rate, says("Runs that one user may start a minute; 0: any number.")
    ] = 3_000
    rate_limit_public_runs: Annotated[
        Rate,
        says("Runs of public flows a minute from one address; 0: any number."),
    ] = 120
    rate_limit_uploads: Annotated[
        Rate, says("Files that one user may upload a minute; 0: any number.")
    ] = 600
    rate_limit_other: Annotated[
        Rate, says("Other requests of one user a minute; 0: any number.")
    ] = 12_000
    max_open_requests: Annotated[
        Rate, says("Requests of one user answered at once; streams count. 0: any.")
    ] = 1000
