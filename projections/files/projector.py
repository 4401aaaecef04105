"""Projects what has happened to files onto ``files``."""

from collections.abc import Sequence
from typing import override

from application.ports import Recorded
from domain.file.events import FileDeleted, FileRenamed, FileUploaded
from domain.file.names import parts
from domain.user.events import UserErased
from projections.files.tables import FILES, METADATA
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows


class FilesProjector(Projector):
    """Which files there are, by flow and by owner."""

    name = "files"
    version = 1
    tables = METADATA
    reads = (FileUploaded, FileRenamed, FileDeleted, UserErased)

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case FileUploaded() as event:
                    rows.put(
                        FILES,
                        id=recorded.stream,
                        owner=event.owner,
                        flow=event.flow,
                        name=event.name,
                        title=parts(event.name)[0],
                        media_type=event.media_type,
                        size=event.content.size,
                        created_at=recorded.at,
                        updated_at=recorded.at,
                    )
                case FileRenamed(title=title):
                    rows.change(
                        FILES, recorded.stream, title=title, updated_at=recorded.at
                    )
                case FileDeleted():
                    rows.remove(FILES, recorded.stream)
                case UserErased():
                    rows.remove_where(FILES, owner=recorded.stream)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)
