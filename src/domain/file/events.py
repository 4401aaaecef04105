"""What can have happened to a file."""

from uuid import UUID

from domain.kernel import ContentRef, Event


class FileUploaded(Event, frozen=True, kw_only=True, tag="file.uploaded"):
    """
    Its bytes are the content, which bears the file's own id.

    ``name`` is what paths say, its ending included, and never changes; ``flow`` is
    the one that it was uploaded to, if it was not to the user's own files.
    """

    owner: UUID
    name: str
    media_type: str
    content: ContentRef
    flow: UUID | None = None


class FileRenamed(Event, frozen=True, kw_only=True, tag="file.renamed"):
    title: str


class FileDeleted(Event, frozen=True, kw_only=True, tag="file.deleted"):
    pass


type FileEvent = FileUploaded | FileRenamed | FileDeleted
