"""Files, and how much of them people may have."""

from typing import NamedTuple

from api.world.means import Means, Ports
from application.file_limits import FileLimits
from application.files import Files
from application.upload_room import UploadRoom
from application.uploads import Uploads
from infrastructure.file_bytes import PostgresFileBytes
from infrastructure.settings import Settings
from infrastructure.settings.serving import MEGABYTE


class Filing(NamedTuple):
    files: Files
    uploads: Uploads


def join_files(means: Means, ports: Ports) -> Filing:
    kept = PostgresFileBytes(means.database, means.keyring, means.blobs, means.keys)
    files = Files(
        means.store,
        claims=ports.claims,
        ownership=ports.ownership,
        contents=ports.contents,
        kept=kept,
    )
    uploads = Uploads(
        means.store,
        claims=ports.claims,
        ownership=ports.ownership,
        kept=kept,
        limits=_limits(means.settings),
        room=UploadRoom(
            at_once=means.settings.max_concurrent_uploads,
            of_one_person=means.settings.max_concurrent_uploads_per_user,
        ),
    )
    return Filing(files, uploads)


def _limits(settings: Settings) -> FileLimits:
    room = settings.files_quota_mb * MEGABYTE
    endings = (ending.lower().lstrip(".") for ending in settings.file_types)
    return FileLimits(
        largest=settings.max_file_size_upload * MEGABYTE,
        room=room or None,
        endings=frozenset(endings),
    )
