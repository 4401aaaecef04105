"""What files may be called, and what may be decided about them."""

import unicodedata
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given as whatever, strategies as st

from domain.file.events import FileDeleted, FileRenamed, FileUploaded
from domain.file.file import File, FileDeletedError
from domain.file.names import (
    LONGEST,
    NamelessFileError,
    clean,
    ending_of,
    media_type_of,
    parts,
    stamped,
)
from domain.kernel import ContentRef
from tests.specification import SOMETHING, given

OWNER, FLOW = UUID(int=7), UUID(int=9)
CONTENT = ContentRef(id=SOMETHING, digest="d", size=3)
UPLOADED = FileUploaded(
    owner=OWNER, name="a.txt", media_type="text/plain", content=CONTENT
)


def test_a_file_is_uploaded() -> None:
    file = File.upload(
        SOMETHING,
        owner=OWNER,
        name="a.txt",
        media_type="text/plain",
        content=CONTENT,
    )

    assert file.collect() == [UPLOADED]
    assert (file.path, file.title, file.shown_name) == (f"{OWNER}/a.txt", "a", "a.txt")


def test_a_file_of_a_flow_lies_there() -> None:
    file = File(SOMETHING)
    file.replay(
        FileUploaded(
            owner=OWNER, name="a", media_type="b/c", content=CONTENT, flow=FLOW
        )
    )

    assert file.path == f"{FLOW}/a"


def test_a_file_is_renamed_once() -> None:
    renamed = FileRenamed(title="b")
    given(File, UPLOADED).when(lambda f: f.rename("b")).then(renamed)
    given(File, UPLOADED, renamed).when(lambda f: f.rename("b")).then_nothing_happens()


def test_a_renamed_file_keeps_its_path_and_its_ending() -> None:
    file = File(SOMETHING)
    file.replay(UPLOADED, FileRenamed(title="b"))

    assert (file.path, file.shown_name) == (f"{OWNER}/a.txt", "b.txt")


def test_a_file_has_a_name() -> None:
    given(File, UPLOADED).when(lambda f: f.rename("../")).then_refuses(
        NamelessFileError
    )


def test_a_file_is_deleted_once() -> None:
    given(File, UPLOADED).when(lambda f: f.delete()).then(FileDeleted())
    given(File, UPLOADED, FileDeleted()).when(lambda f: f.delete()).then_refuses(
        FileDeletedError
    )
    given(File, UPLOADED, FileDeleted()).when(lambda f: f.rename("b")).then_refuses(
        FileDeletedError
    )


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/passwd", "passwd"),
        ("C:\\fakepath\\photo.png", "photo.png"),
        ("a\0b.txt", "ab.txt"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie_ x.txt"),
        ("\u202egnp.exe", "gnp.exe"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("CON.txt", "_CON.txt"),
        ("lpt1", "_lpt1"),
        ("a\uff0fb.txt", "a_b.txt"),
        ('a"<b>|c?*.txt', "a__b__c__.txt"),
        ("naïve café.txt", "naïve café.txt"),
        ("e\u0301.txt", "é.txt"),
        ("  a  b .txt", "a b.txt"),
        ("report.tar.gz", "report.tar.gz"),
        ("\ud800.txt", "txt"),
    ],
)
def test_a_name_keeps_nothing_that_means_something(raw: str, name: str) -> None:
    assert clean(raw) == name


@pytest.mark.parametrize("raw", ["", ".", "..", "/", "a/", "\0", " . ", "\u202e"])
def test_nothing_is_no_name(raw: str) -> None:
    with pytest.raises(NamelessFileError):
        clean(raw)


@whatever(st.text(max_size=400))
def test_whatever_it_was_called_it_has_a_harmless_name(raw: str) -> None:
    with suppress(NamelessFileError):
        name = clean(raw)

        assert name
        assert len(name.encode()) <= LONGEST
        assert not set(name) & set('/\\:*?"<>|\0')
        assert name not in {".", ".."}
        assert name[0] not in ".-"
        assert not any(unicodedata.category(c).startswith("C") for c in name)
        assert clean(name) == name


def test_a_long_name_keeps_its_ending() -> None:
    name = clean("é" * 300 + ".txt")

    assert name.endswith("é.txt")
    assert len(name.encode()) <= LONGEST


def test_what_a_name_tells() -> None:
    assert parts("a.tar.gz") == ("a.tar", ".gz")
    assert parts("no-ending") == ("no-ending", "")
    assert ending_of("A.PNG") == "png"
    assert media_type_of("A.PNG") == "image/png"
    assert media_type_of("a.exe") == "application/octet-stream"
    at = datetime(2026, 11, 21, 20, 53, 30, tzinfo=UTC)
    assert stamped("a.png", at) == "2026-11-21_20-53-30_a.png"
