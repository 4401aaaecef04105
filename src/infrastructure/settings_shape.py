"""Every setting there is: its field, its default, and what the reference says of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, override

import msgspec
from msgspec import Meta

from infrastructure.settings_kinds import (
    Count,
    Rate,
    SameSite,
    Seconds,
    Span,
    default_data_dir,
    says,
)

MEGABYTE = 1024 * 1024
NOT_SHOWN = {
    *("database_url", "migration_url", "redis_url"),
    *("secret_key", "previous_secret_key", "superuser_password"),
    *("s3_access_key", "s3_secret_key"),
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, read once at start."""

    # Where it listens
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
    show_docs: Annotated[
        bool,
        says("Show the API's description at `/docs` and `/openapi.json`, to anybody."),
    ] = True
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
    log_retriever_buffer_size: Annotated[
        int,
        Meta(ge=0, le=100_000),
        says(
            "Lines of the log that superusers may read at `/logs`; 0 keeps none.", 1000
        ),
    ] = 0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        says("How much is logged: debug, info, warning or error."),
    ] = "info"

    # Where things are kept
    data_dir: Annotated[
        str,
        says(
            "Directory of the database, the secret key and files; "
            "`LANGBUILDER_CONFIG_DIR` is the same. By default `~/.langbuilder`, for "
            "root `/var/lib/langbuilder`.",
            "/var/lib/langbuilder",
        ),
    ] = ""
    database_url: Annotated[
        str | None,
        says(
            "PostgreSQL 15 or newer to use instead of the built-in one.",
            "postgresql://langbuilder:password@db.example.org/langbuilder",
        ),
    ] = None
    migration_url: Annotated[
        str | None,
        says(
            "The same database as the role that owns its tables; used for migrations.",
            "postgresql://owner:password@db.example.org/langbuilder",
        ),
    ] = None
    postgres_bin_dir: Annotated[
        str | None,
        says(
            "Folder of the PostgreSQL programs to start, instead of the bundled ones.",
            "/usr/lib/postgresql/17/bin",
        ),
    ] = None
    redis_url: Annotated[
        str | None,
        says(
            "Redis 7 or Valkey for signals between several servers; in memory without.",
            "redis://127.0.0.1:6379/0",
        ),
    ] = None
    storage: Annotated[
        Literal["local", "s3"], says("Where large contents go: local or s3.")
    ] = "local"
    s3_bucket: Annotated[
        str | None, says("Bucket for `LANGBUILDER_STORAGE=s3`.", "langbuilder")
    ] = None
    s3_endpoint_url: Annotated[
        str | None,
        says("Address of an S3 that is not Amazon's.", "http://127.0.0.1:8333"),
    ] = None
    s3_region: Annotated[str | None, says("Region of the bucket.", "eu-north-1")] = None
    s3_access_key: Annotated[
        str | None,
        says("Access key of S3; without it boto3 looks in its usual places.", "AKIA…"),
    ] = None
    s3_secret_key: Annotated[str | None, says("Secret key of S3.", "wJal…")] = None

    # Who may come in
    secret_key: Annotated[
        str | None,
        says(
            "The installation key: signs tokens and wraps every encryption key. "
            "Generated into `secret_key` in the data directory when absent; losing it "
            "loses all secrets and contents.",
            "the output of: openssl rand -base64 48",
        ),
    ] = None
    previous_secret_key: Annotated[
        tuple[str, ...],
        says(
            "Other installation keys that may have wrapped something, separated by "
            "commas: every server must know them while `langbuilder keys rotate` "
            "changes from one to another.",
            "the LANGBUILDER_SECRET_KEY before",
        ),
    ] = ()
    superuser: Annotated[str, says("Name of the first user.")] = "langbuilder"
    superuser_password: Annotated[
        str | None,
        says("Password of the first user; generated and shown once when absent.", "…"),
    ] = None
    auto_login: Annotated[
        bool,
        says("Sign everybody in as the first user; only on a loopback address."),
    ] = False
    new_user_is_active: Annotated[
        bool, says("Let people who register sign in before a superuser agrees.")
    ] = False
    create_starter_projects: Annotated[
        bool, says("Give whoever joins three small flows to begin with.")
    ] = True
    access_token_expire_seconds: Annotated[
        Seconds, says("How long an access token is good for.")
    ] = 3600
    refresh_token_expire_seconds: Annotated[
        Seconds, says("How long a session lasts that is not used.")
    ] = 7 * 24 * 3600
    refresh_leeway_seconds: Annotated[
        Annotated[int, Meta(ge=0, le=300)],
        says(
            "How long the same refresh token still leads to the one that followed it, "
            "for pages that are left before the answer arrives; 0 for never.",
            10,
        ),
    ] = 10
    cookie_domain: Annotated[str | None, says("Cookies' domain.", "a.example")] = None
    access_same_site: Annotated[SameSite, says("Access cookie's SameSite.")] = "lax"
    access_secure: Annotated[bool, says("Access cookie over https only.")] = False
    access_httponly: Annotated[bool, says("Access cookie not for scripts.")] = False
    refresh_same_site: Annotated[SameSite, says("Refresh cookie's SameSite.")] = "none"
    refresh_secure: Annotated[
        bool, says("Refresh cookie over https (or to localhost) only.")
    ] = True
    refresh_httponly: Annotated[bool, says("Refresh cookie not for scripts.")] = True

    # What flows may reach
    openai_base_url: Annotated[
        str | None,
        says(
            "An OpenAI-compatible server instead of OpenAI.", "http://127.0.0.1:8000/v1"
        ),
    ] = None
    anthropic_base_url: Annotated[
        str | None,
        says("A server that speaks Anthropic's API.", "http://127.0.0.1:8001"),
    ] = None
    google_base_url: Annotated[
        str | None, says("A server that speaks Google's API.", "http://127.0.0.1:8002")
    ] = None
    ollama_base_url: Annotated[
        str | None, says("Where Ollama answers.", "http://127.0.0.1:11434")
    ] = None
    openai_realtime_url: Annotated[
        str | None,
        says(
            "A server that speaks OpenAI's realtime protocol, for voice.",
            "ws://127.0.0.1:8003/v1/realtime",
        ),
    ] = None
    elevenlabs_base_url: Annotated[
        str | None,
        says("A server that speaks ElevenLabs' API.", "http://127.0.0.1:8004"),
    ] = None
    voice_realtime_model: Annotated[
        str, says("The realtime model that has a flow for a tool.")
    ] = "gpt-4o-realtime-preview"
    voice_transcription_model: Annotated[
        str, says("The model that writes down what is said to a flow.")
    ] = "gpt-4o-mini-transcribe"
    voice_speech_model: Annotated[
        str, says("OpenAI's model that reads answers of flows aloud.")
    ] = "gpt-4o-mini-tts"
    voice_elevenlabs_model: Annotated[
        str, says("ElevenLabs' model that reads answers of flows aloud.")
    ] = "eleven_multilingual_v2"
    store: Annotated[bool, says("Offer the component store.")] = False
    store_url: Annotated[
        str | None,
        says(
            "Address of the component store, a Directus.", "https://store.example.org"
        ),
    ] = None
    like_webhook_url: Annotated[
        str | None,
        says(
            "Hook of the component store that counts likes.",
            "https://store.example.org/flows/trigger/likes",
        ),
    ] = None
    download_webhook_url: Annotated[
        str | None,
        says(
            "Hook of the component store that counts downloads.",
            "https://store.example.org/flows/trigger/downloads",
        ),
    ] = None
    allowed_hosts: Annotated[
        tuple[str, ...],
        says(
            "Private hosts that addresses set in flows may name, separated by commas.",
            "models.internal,10.0.0.7",
        ),
    ] = ()
    mcp_install: Annotated[
        bool,
        says(
            "Let people at the server's own machine have it write into the "
            "configuration files of their MCP clients."
        ),
    ] = False
    mcp_commands: Annotated[
        tuple[str, ...],
        says(
            "Commands that may be started as MCP servers, word for word, separated by "
            "commas; before each, the names of variables that people may set for it.",
            "uvx mcp-server-time,GITHUB_TOKEN= npx -y @acme/github-mcp",
        ),
    ] = ()
    store_environment_variables: Annotated[
        bool,
        says(
            "When superusers sign in, give them variables for the providers' keys of "
            "the environment."
        ),
    ] = True
    variables_to_get_from_environment: Annotated[
        tuple[str, ...],
        says(
            "More names of the environment to make variables of, separated by commas.",
            "MY_SEARCH_KEY,MY_CRM_TOKEN",
        ),
    ] = ()
    fallback_to_env_var: Annotated[
        bool, says("Use the environment where a flow names a variable nobody defined.")
    ] = True

    # How runs go
    event_delivery: Annotated[
        Literal["streaming", "polling", "direct"],
        says("How the page follows a run: streaming, polling or direct."),
    ] = "streaming"
    max_concurrent_runs: Annotated[Count, says("Runs a server executes at once.")] = 64
    max_queued_runs: Annotated[
        int,
        Meta(ge=0),
        says("Runs that may wait for room; beyond it starting one gets a 503."),
    ] = 1000
    vertex_timeout_seconds: Annotated[Seconds, says("Seconds a component has.")] = 600

    # What the page is told
    auto_saving: Annotated[bool, says("Let the page save flows by itself.")] = True
    auto_saving_interval: Annotated[Count, says("Milliseconds between saves.")] = 1000
    health_check_max_retries: Annotated[
        Count, says("How often the page asks for health.")
    ] = 5

    # How long things are kept
    retention_messages_days: Annotated[
        Span, says("Days that messages are kept; 0 keeps them for ever.")
    ] = 90
    retention_transactions_days: Annotated[
        Span, says("Days that transactions are kept; 0 keeps them for ever.")
    ] = 30
    retention_builds_days: Annotated[
        Span, says("Days that results of vertices are shown; 0 keeps them for ever.")
    ] = 7
    retention_runs_days: Annotated[
        Span,
        says(
            "Days until finished runs are archived, by whole months; 0 leaves them in "
            "the log for ever. No less than transactions and results are kept."
        ),
    ] = 90
    retention_files_hours: Annotated[
        Span, says("Hours that temporary files are kept; 0 keeps them for ever.")
    ] = 24
    retention_sessions_hours: Annotated[
        Span,
        says("Hours that sessions are kept after their end; 0 keeps them for ever."),
    ] = 24
    retention_interval_hours: Annotated[
        Span,
        says("Hours between removals of what outlived its time; 0 leaves them to you."),
    ] = 6
    public_flow_cleanup_interval: Annotated[
        Span,
        says("Seconds between removals of what visitors left; 0 leaves it lying."),
    ] = 3600
    public_flow_expiration: Annotated[
        Span,
        says("Seconds that what a visitor left is kept after their last run."),
    ] = 86_400

    @property
    def data_path(self) -> Path:
        """The data directory, absolute."""
        chosen = Path(self.data_dir).expanduser() if self.data_dir else None
        return (chosen or default_data_dir()).absolute()

    @override
    def __repr__(self) -> str:
        """Show what is set, less what is secret."""
        return f"Settings({', '.join(_shown(self))})"


def _shown(settings: Settings) -> Iterator[str]:
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        if value != field.default:
            hidden = field.name in NOT_SHOWN
            yield f"{field.name}={'…' if hidden else repr(value)}"
