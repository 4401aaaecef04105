"""What an operator may set, by LangBuilder's names, checked before anything starts."""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, override

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

from infrastructure.starting import CannotStartError

PREFIX = "LANGBUILDER_"
MEGABYTE = 1024 * 1024

_ALIASES = {"LANGBUILDER_CONFIG_DIR": "LANGBUILDER_DATA_DIR"}
_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_SHORTEST_SECRET, _FEWEST_CHARACTERS = 32, 8
_NOT_SHOWN = {
    *("database_url", "migration_url", "redis_url"),
    *("secret_key", "superuser_password", "s3_access_key", "s3_secret_key"),
}


class SettingError(CannotStartError):
    """A setting has a value that cannot be used."""

    def __init__(self, name: str, wrong: str, example: str) -> None:
        super().__init__(f"{name} {wrong}, for example {name}={example}")
        self.name = name
        self.wrong = wrong
        self.example = example


class Setting(msgspec.Struct, frozen=True):
    """One setting as the reference documents it."""

    env: str
    field: str
    doc: str
    default: object
    example: str


Seconds = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
SameSite = Literal["lax", "strict", "none"]


def _default_data_dir() -> Path:
    if os.geteuid() == 0:  # whose home stays closed to the database's own user
        return Path("/var/lib/langbuilder")
    return Path.home() / ".langbuilder"


def says(doc: str, example: object = None) -> Meta:
    """Document a field; a refusal shows *example* if the default will not do."""
    return Meta(description=doc, examples=None if example is None else [example])


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, read once at start by `load`."""

    # Where it listens
    host: Annotated[str, says("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), says("Port to listen on.")] = 7860
    cors_origins: Annotated[
        tuple[str, ...],
        says(
            "Origins whose pages may call the API, separated by commas.",
            "https://flows.example.org",
        ),
    ] = ()
    max_json_body_bytes: Annotated[
        Count, says("Largest JSON body accepted, in bytes; larger ones get a 413.")
    ] = 32 * MEGABYTE
    max_file_size_upload: Annotated[Count, says("Largest file, in megabytes.")] = 1024
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
    access_token_expire_seconds: Annotated[
        Seconds, says("How long an access token is good for.")
    ] = 3600
    refresh_token_expire_seconds: Annotated[
        Seconds, says("How long a session lasts that is not used.")
    ] = 7 * 24 * 3600
    cookie_domain: Annotated[
        str | None, says("Domain of the cookies.", "flows.example.org")
    ] = None
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
    allowed_hosts: Annotated[
        tuple[str, ...],
        says(
            "Private hosts that addresses set in flows may name, separated by commas.",
            "models.internal,10.0.0.7",
        ),
    ] = ()
    store_environment_variables: Annotated[
        bool,
        says("Give new superusers variables for the provider keys of the environment."),
    ] = True
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

    @property
    def data_path(self) -> Path:
        """The data directory, absolute."""
        chosen = Path(self.data_dir).expanduser() if self.data_dir else None
        return (chosen or _default_data_dir()).absolute()

    @override
    def __repr__(self) -> str:
        """Show what is set, less what is secret."""
        return f"Settings({', '.join(_shown(self))})"


def env_name(field: str) -> str:
    """Return the environment variable that sets *field*."""
    return PREFIX + field.upper()


def load(
    environ: Mapping[str, str] | None = None, env_file: str | Path | None = ".env"
) -> Settings:
    """
    Read the settings from *env_file*, overridden by *environ*.

    Raise `SettingError` for the first value that cannot be used. Empty ones count
    as absent.
    """
    values = _values(os.environ if environ is None else environ, env_file)
    given: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        if text := values.get(env_name(field.name)):
            given[field.name] = _converted(field, text)
    settings = Settings(**given)  # type: ignore[arg-type]  # each was converted to its field's type
    _check(settings)
    return settings


def unknown(
    environ: Mapping[str, str] | None = None, env_file: str | Path | None = ".env"
) -> list[str]:
    """Return the names that look like settings and are none, such as typing errors."""
    values = _values(os.environ if environ is None else environ, env_file)
    known = {setting.env for setting in SETTINGS} | set(_ALIASES)
    return sorted(n for n in values if n.startswith(PREFIX) and n not in known)


def _values(
    environ: Mapping[str, str], env_file: str | Path | None
) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    if env_file is not None:
        values |= dotenv_values(env_file, interpolate=False)
    values |= {name: text for name, text in environ.items() if text}
    for alias, name in _ALIASES.items():
        if values.get(alias) and not values.get(name):
            values[name] = values[alias]
    return values


def _converted(field: msgspec.structs.FieldInfo, text: str) -> object:
    value: object = text.strip()
    if isinstance(field.default, bool):
        value = _WORDS.get(text.strip().lower(), text.strip())
    elif isinstance(field.default, tuple):
        value = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return msgspec.convert(value, field.type, strict=False)
    except msgspec.ValidationError as error:
        shown = "" if field.name in _NOT_SHOWN else f" is {text.strip()!r}"
        wrong = str(error)[:1].lower() + str(error)[1:]
        raise SettingError(
            env_name(field.name), f"{shown.strip()}: {wrong}", _example(field)
        ) from None


def _check(settings: Settings) -> None:
    """Refuse what is wrong of itself, and what does not go together."""
    for name, wrong in _wrong(settings):
        field = next(f for f in msgspec.structs.fields(Settings) if f.name == name)
        raise SettingError(env_name(name), wrong, _example(field))


def _wrong(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from _wrong_addresses(settings)
    if settings.auto_login and not is_loopback(settings.host):
        yield (
            "auto_login",
            f"needs a loopback address, and {settings.host} is none: turn it off",
        )
    if settings.storage == "s3" and not settings.s3_bucket:
        yield "s3_bucket", "is needed with LANGBUILDER_STORAGE=s3"
    if settings.migration_url and not settings.database_url:
        yield "database_url", "is needed with LANGBUILDER_MIGRATION_URL"
    key = settings.secret_key
    if key and (len(key) < _SHORTEST_SECRET or len(set(key)) < _FEWEST_CHARACTERS):
        yield (
            "secret_key",
            f"is too weak: use {_SHORTEST_SECRET} or more random characters",
        )
    if "*" in settings.cors_origins:
        yield (
            "cors_origins",
            "cannot be *, for requests carry credentials: name origins",
        )
    if settings.access_same_site == "none" and not settings.access_secure:
        yield "access_same_site", "is none, which needs LANGBUILDER_ACCESS_SECURE=true"
    if settings.refresh_same_site == "none" and not settings.refresh_secure:
        yield (
            "refresh_same_site",
            "is none, which needs LANGBUILDER_REFRESH_SECURE=true",
        )


_SCHEMES = {
    "database_url": ("postgresql", "postgres"),
    "migration_url": ("postgresql", "postgres"),
    "redis_url": ("redis", "rediss", "unix"),
    "s3_endpoint_url": ("http", "https"),
    "openai_base_url": ("http", "https"),
    "anthropic_base_url": ("http", "https"),
    "google_base_url": ("http", "https"),
    "ollama_base_url": ("http", "https"),
}


def _wrong_addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, schemes in _SCHEMES.items():
        address: str | None = getattr(settings, name)
        if address and address.partition("://")[0] not in schemes:
            yield name, f"must begin with {schemes[0]}://"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches *host*."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _meta(field: msgspec.structs.FieldInfo) -> Meta:
    metas = getattr(field.type, "__metadata__", ())
    return next(m for m in metas if isinstance(m, Meta) and m.description)


def _example(field: msgspec.structs.FieldInfo) -> str:
    value = (_meta(field).examples or [field.default])[0]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(settings: Settings) -> Iterator[str]:
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        if value != field.default:
            hidden = field.name in _NOT_SHOWN
            yield f"{field.name}={'…' if hidden else repr(value)}"


SETTINGS = [
    Setting(
        env_name(field.name),
        field.name,
        _meta(field).description or "",
        field.default,
        _example(field),
    )
    for field in msgspec.structs.fields(Settings)
]
