"""The installation key: generated once, and different in every use."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import msgspec
import pytest

from infrastructure.data_directory import DataDirectoryUnusableError
from infrastructure.keyring import DataKey, Keyring, SealBrokenError, WrongKeyError
from infrastructure.settings import Settings

ANNA, BERT = UUID(int=1), UUID(int=2)
SECRET = "a secret that only tests know, long enough"


def test_the_first_start_makes_a_key_and_the_next_finds_it(settings: Settings) -> None:
    first, second = Keyring.of(settings), Keyring.of(settings)

    assert first.id == second.id
    file = settings.data_path / "secret_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text()) >= 64


def test_a_key_that_was_given_is_not_written_down(settings: Settings) -> None:
    given = msgspec.structs.replace(settings, secret_key=SECRET)

    assert Keyring.of(given).id == Keyring(SECRET).id
    assert not (settings.data_path / "secret_key").exists()


def test_an_empty_key_file_is_refused(settings: Settings) -> None:
    (settings.data_path / "secret_key").write_text("\n")

    with pytest.raises(WrongKeyError, match="empty"):
        Keyring.of(settings)


def test_a_key_file_that_cannot_be_read_is_told(settings: Settings) -> None:
    (settings.data_path / "secret_key").mkdir()

    with pytest.raises(DataDirectoryUnusableError):
        Keyring.of(settings)


def test_each_use_has_a_key_of_its_own() -> None:
    keyring = Keyring(SECRET)

    assert keyring.digest(b"x") != keyring.bearer_hash("x")
    assert keyring.signing.hex() not in keyring.digest(keyring.signing)
    assert SECRET not in repr(keyring)


def test_digests_differ_between_installations() -> None:
    assert Keyring(SECRET).digest(b"x") != Keyring(SECRET + "!").digest(b"x")
    assert Keyring(SECRET).digest(b"x") == Keyring(SECRET).digest(b"x")


def test_a_wrapped_key_opens_for_its_subject_only() -> None:
    keyring = Keyring(SECRET)
    key = os.urandom(32)
    wrapped = keyring.wrap(ANNA, key)

    assert keyring.unwrap(ANNA, wrapped) == key
    with pytest.raises(SealBrokenError):
        keyring.unwrap(BERT, wrapped)
    with pytest.raises(SealBrokenError):
        Keyring(SECRET + "!").unwrap(ANNA, wrapped)


def test_changed_bytes_do_not_open() -> None:
    key = DataKey(os.urandom(32))
    sealed = key.seal(b"words", bound_to=b"here")

    for place in (0, 20, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealBrokenError):
            key.open(bytes(changed), bound_to=b"here")
    with pytest.raises(SealBrokenError):
        key.open(sealed, bound_to=b"there")
    with pytest.raises(SealBrokenError):
        key.open(b"", bound_to=b"here")


def test_another_key_knows_that_it_did_not_seal_this() -> None:
    sealed = DataKey(os.urandom(32)).seal(b"words", bound_to=b"here")

    assert DataKey(os.urandom(32)).open(sealed, bound_to=b"here") is None


def test_two_first_starts_agree_on_one_key(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: Keyring.of(settings).id, range(8)))

    assert len(set(ids)) == 1
