"""Settings: read, refused with a reason, and never shown when secret."""

import os
from pathlib import Path

import pytest

from infrastructure.settings import (
    SETTINGS,
    SettingError,
    Settings,
    load,
    meant,
    unknown,
)


def test_without_settings_the_server_is_closed_and_local() -> None:
    settings = load({}, env_file=None)

    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert not settings.auto_login
    assert settings.cors_origins == ()
    assert settings.superuser_password is None


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("LANGBUILDER_PORT=1000\nLANGBUILDER_HOST=::1\n")

    settings = load({"LANGBUILDER_PORT": "2000"}, env_file=file)

    assert (settings.host, settings.port) == ("::1", 2000)


def test_an_empty_value_counts_as_absent() -> None:
    assert load({"LANGBUILDER_PORT": ""}, env_file=None).port == 7860


@pytest.mark.parametrize("word", ["true", "True", "1", "yes", "on"])
def test_yes_can_be_said_in_many_ways(word: str) -> None:
    settings = load({"LANGBUILDER_NEW_USER_IS_ACTIVE": word}, env_file=None)

    assert settings.new_user_is_active


def test_lists_are_separated_by_commas() -> None:
    settings = load(
        {"LANGBUILDER_CORS_ORIGINS": "https://a.example, https://b.example,"},
        env_file=None,
    )

    assert settings.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("name", ["LANGBUILDER_DATA_DIR", "LANGBUILDER_CONFIG_DIR"])
def test_the_data_directory_has_two_names(name: str, tmp_path: Path) -> None:
    assert load({name: str(tmp_path)}, env_file=None).data_path == tmp_path


def test_the_data_directory_is_not_in_the_home_of_root() -> None:
    expected = Path("/var/lib") if os.geteuid() == 0 else Path.home()

    assert load({}, env_file=None).data_path.parent == expected


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("LANGBUILDER_PORT", "99999", "99999"),
        ("LANGBUILDER_PORT", "many", "many"),
        ("LANGBUILDER_AUTO_LOGIN", "maybe", "maybe"),
        ("LANGBUILDER_DATABASE_URL", "sqlite:///langbuilder.db", "postgresql://"),
        ("LANGBUILDER_REDIS_URL", "http://redis", "redis://"),
        ("LANGBUILDER_OPENAI_BASE_URL", "localhost:8000", "http://"),
        ("LANGBUILDER_EVENT_DELIVERY", "pigeon", "pigeon"),
        ("LANGBUILDER_SECRET_KEY", "short", "weak"),
        ("LANGBUILDER_SECRET_KEY", "a" * 64, "weak"),
        ("LANGBUILDER_CORS_ORIGINS", "*", "name origins"),
        ("LANGBUILDER_TRUSTED_PROXIES", "proxy.internal", "no address or network"),
        ("LANGBUILDER_TRUSTED_PROXIES", "10.0.0.1/8", "host bits"),
        ("LANGBUILDER_TRUSTED_PROXIES", "10.0.0.1,*", "no address or network"),
        ("LANGBUILDER_TRUSTED_PROXIES", "0.0.0.0/0", "believes all"),
        ("LANGBUILDER_REFRESH_SECURE", "false", "LANGBUILDER_REFRESH_SECURE=true"),
        ("LANGBUILDER_ACCESS_SAME_SITE", "none", "LANGBUILDER_ACCESS_SECURE=true"),
        ("LANGBUILDER_STORAGE", "s3", "LANGBUILDER_S3_BUCKET"),
        ("LANGBUILDER_MIGRATION_URL", "postgresql://o@h/d", "LANGBUILDER_DATABASE_URL"),
        ("LANGBUILDER_MAX_CONCURRENT_RUNS", "0", ">= 1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_an_example(
    name: str, value: str, wrong: str
) -> None:
    with pytest.raises(SettingError, match="for example LANGBUILDER_") as told:
        load({name: value}, env_file=None)

    assert wrong in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_nobody_is_signed_in_by_itself_from_elsewhere(host: str) -> None:
    with pytest.raises(SettingError, match="loopback"):
        load(
            {"LANGBUILDER_AUTO_LOGIN": "true", "LANGBUILDER_HOST": host}, env_file=None
        )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_one_may_be_signed_in_by_itself(host: str) -> None:
    words = {"LANGBUILDER_AUTO_LOGIN": "true", "LANGBUILDER_HOST": host}

    assert load(words, env_file=None).auto_login


def test_secrets_are_not_shown() -> None:
    secrets = {
        "LANGBUILDER_SECRET_KEY": "canary-0123456789-abcdefghijklmnop",
        "LANGBUILDER_SUPERUSER_PASSWORD": "canary",
        "LANGBUILDER_DATABASE_URL": "postgresql://u:canary@h/d",
        "LANGBUILDER_S3_SECRET_KEY": "canary",
    }

    assert "canary" not in repr(load(secrets, env_file=None))
    with pytest.raises(SettingError) as told:
        load({"LANGBUILDER_DATABASE_URL": "mysql://u:canary@h/d"}, env_file=None)
    assert "canary" not in str(told.value)


def test_names_that_mean_nothing_are_found() -> None:
    environ = {"LANGBUILDER_PROT": "1", "LANGBUILDER_PORT": "1", "PATH": "/bin"}

    assert unknown(environ, env_file=None) == ["LANGBUILDER_PROT"]
    assert meant("LANGBUILDER_PROT") == "LANGBUILDER_PORT"
    assert meant("LANGBUILDER_SOMETHING_ELSE") is None


def test_a_word_that_is_none_of_a_few_is_refused_with_the_few() -> None:
    with pytest.raises(SettingError, match="it is one of debug, info, warning, error"):
        load({"LANGBUILDER_LOG_LEVEL": "loud"}, env_file=None)


def test_every_setting_is_documented() -> None:
    assert {setting.field for setting in SETTINGS} == set(Settings.__struct_fields__)
    for setting in SETTINGS:
        assert setting.doc.endswith("."), setting.env
        assert setting.example, setting.env
