"""The file aggregate: bytes under a name, until they are deleted."""

from typing import Self, assert_never, override
from uuid import UUID

from domain.file.events import FileDeleted, FileEvent, FileRenamed, FileUploaded
from domain.file.names import clean, parts
from domain.kernel import Aggregate, ContentRef, DomainError


class FileDeletedError(DomainError):
    """This file has been deleted."""


class File(Aggregate[FileEvent]):
    """What somebody uploaded: to a flow, or to the files of their own."""

    owner: UUID
    content: ContentRef

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.flow: UUID | None = None
        self.name = ""
        self.title = ""
        self.media_type = ""
        self.deleted = False

    @property
    @override
    def subject(self) -> UUID:
        return self.owner

    @property
    def path(self) -> str:
        """How runs and clients name it: where it lies, and its name."""
        return f"{self.flow or self.owner}/{self.name}"

    @property
    def shown_name(self) -> str:
        """Its title as it is now, with the ending it came with."""
        return self.title + parts(self.name)[1]

    @classmethod
    def upload(
        cls,
        file_id: UUID,
        *,
        owner: UUID,
        name: str,
        media_type: str,
        content: ContentRef,
        flow: UUID | None = None,
    ) -> Self:
        """Begin a file, under a name that was cleaned and that the caller claims."""
        file = cls(file_id)
        file._record(
            FileUploaded(
                owner=owner,
                name=name,
                media_type=media_type,
                content=content,
                flow=flow,
            )
        )
        return file

    def rename(self, title: str) -> None:
        """Show it under another name; its path stays what flows know."""
        self._require_present()
        title = clean(title)
        if title != self.title:
            self._record(FileRenamed(title=title))

    def delete(self) -> None:
        """Take it away; the caller has its bytes removed."""
        self._require_present()
        self._record(FileDeleted())

    def _require_present(self) -> None:
        if self.deleted:
            raise FileDeletedError(self.id)

    @override
    def _apply(self, event: FileEvent) -> None:
        match event:
            case FileUploaded():
                self.owner, self.flow = event.owner, event.flow
                self.name, self.media_type = event.name, event.media_type
                self.content = event.content
                self.title = parts(event.name)[0]
            case FileRenamed(title=title):
                self.title = title
            case FileDeleted():
                self.deleted = True
            case _:
                assert_never(event)
