"""What an operator may set, by LangBuilder's names, checked before anything starts."""

import inspect
import ipaddress
import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

from infrastructure.settings.shape import NOT_SHOWN, Settings
from infrastructure.starting import CannotStartError

PREFIX = "LANGBUILDER_"
INDEX = "index.html"

_ALIASES = {"LANGBUILDER_CONFIG_DIR": "LANGBUILDER_DATA_DIR"}
_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_SHORTEST_SECRET, _FEWEST_CHARACTERS = 32, 8


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
    chapter: str
    doc: str
    default: object
    example: str


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
    known = _names()
    return sorted(n for n in values if n.startswith(PREFIX) and n not in known)


def meant(name: str) -> str | None:
    """Return the setting that whoever wrote *name* may have meant."""
    return next(iter(get_close_matches(name, sorted(_names()), n=1, cutoff=0.85)), None)


def _names() -> set[str]:
    return {setting.env for setting in SETTINGS} | set(_ALIASES)


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
        shown = "" if field.name in NOT_SHOWN else f" is {text.strip()!r}"
        wrong = str(error)[:1].lower() + str(error)[1:]
        if few := _few(field.type):
            wrong = f"it is one of {', '.join(few)}"
        raise SettingError(
            env_name(field.name), f"{shown.strip()}: {wrong}", _example(field)
        ) from None


def _few(kind: object) -> tuple[str, ...]:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return get_args(kind) if get_origin(kind) is Literal else ()


def _check(settings: Settings) -> None:
    """Refuse what is wrong of itself, and what does not go together."""
    for name, wrong in _wrong(settings):
        field = next(f for f in msgspec.structs.fields(Settings) if f.name == name)
        raise SettingError(env_name(name), wrong, _example(field))


def _wrong(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from _wrong_addresses(settings)
    yield from _wrong_folders(settings)
    yield from _wrong_proxies(settings)
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
    for made in ("retention_transactions_days", "retention_builds_days"):
        longest, kept = settings.retention_runs_days, getattr(settings, made)
        if longest and not 0 < kept <= longest:
            wrong = f"is less than {env_name(made)}={kept}, made from the same events"
            yield "retention_runs_days", wrong
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
    "openai_realtime_url": ("wss", "ws"),
    "elevenlabs_base_url": ("http", "https"),
    "store_url": ("https", "http"),
    "like_webhook_url": ("https", "http"),
    "download_webhook_url": ("https", "http"),
}


def _wrong_addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.store and not settings.store_url:
        yield "store_url", "is needed with LANGBUILDER_STORE=true"
    for name, schemes in _SCHEMES.items():
        address: str | None = getattr(settings, name)
        if address and address.partition("://")[0] not in schemes:
            yield name, f"must begin with {schemes[0]}://"


def _wrong_proxies(settings: Settings) -> Iterator[tuple[str, str]]:
    for one in settings.trusted_proxies:
        try:
            network = ipaddress.ip_network(one)
        except ValueError as error:
            yield "trusted_proxies", f"names no address or network: {error}"
            continue
        if network.prefixlen == 0:
            yield "trusted_proxies", f"is {one}, and whoever believes all believes lies"


def _wrong_folders(settings: Settings) -> Iterator[tuple[str, str]]:
    folder = settings.frontend_path
    if folder and not Path(folder, INDEX).is_file():
        yield (
            "frontend_path",
            f"is {folder}, where no {INDEX} is: name the folder of a built front end",
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches *host*."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _chapter(field: msgspec.structs.FieldInfo) -> str:
    """Return what the class says of itself that brought *field*."""
    chapters = (one for one in Settings.__mro__ if field.name in one.__annotations__)
    return inspect.cleandoc(next(chapters).__doc__ or "").rstrip(".")


def _meta(field: msgspec.structs.FieldInfo) -> Meta:
    metas = getattr(field.type, "__metadata__", ())
    return next(m for m in metas if isinstance(m, Meta) and m.description)


def _example(field: msgspec.structs.FieldInfo) -> str:
    value = (_meta(field).examples or [field.default])[0]
    return str(value).lower() if isinstance(value, bool) else str(value)


SETTINGS = [
    Setting(
        env_name(field.name),
        field.name,
        _chapter(field),
        _meta(field).description or "",
        field.default,
        _example(field),
    )
    for field in msgspec.structs.fields(Settings)
]
