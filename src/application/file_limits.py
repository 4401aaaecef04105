"""What people may upload, and how it is refused."""

import msgspec

from domain.kernel import DomainError


class FileTooLargeError(DomainError):
    """The file is larger than files may be here."""


class NoRoomForFileError(DomainError):
    """Your files take up all the room that you have."""


class UnwantedFileTypeError(DomainError):
    """Files of this kind are not taken in here."""


class FileNameTakenError(DomainError):
    """Another of your files has this name."""


class FileLimits(msgspec.Struct, frozen=True, kw_only=True):
    """
    What people may upload; bytes throughout.

    ``room`` is what all files of one person may take together, without limit if it
    is None; ``endings`` are those of names that are taken in, all if it is empty.
    """

    largest: int = 1024 * 1024 * 1024
    room: int | None = None
    endings: frozenset[str] = frozenset()
