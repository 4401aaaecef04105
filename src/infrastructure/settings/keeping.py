"""Settings of where things are kept, and who may come in."""

from typing import Annotated, Literal

from msgspec import Meta

from infrastructure.settings.kinds import SameSite, Seconds, says
from infrastructure.settings.serving import Limits


class Keeping(Limits, frozen=True, kw_only=True):
    """Where things are kept."""

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


class Admitting(Keeping, frozen=True, kw_only=True):
    """Who may come in."""

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
