"""What has happened: proof, archive and retention."""

from typing import NamedTuple

from api.world.means import Means
from application.ports.evidence import Evidence
from infrastructure.archive.archived_store import ArchivedEventStore
from infrastructure.archive.evidence import PostgresArchivedEntries
from infrastructure.evidence.verification import PostgresEvidence
from projections.keeping import Keeping
from projections.retention import Retention


class Past(NamedTuple):
    evidence: Evidence
    archived: ArchivedEventStore
    retention: Retention


def join_past(means: Means, keeping: Keeping) -> Past:
    database, blobs, store = means.database, means.blobs, means.store
    sign = means.keyring.sign_history
    return Past(
        evidence=PostgresEvidence(
            database.dsn,
            sign,
            lambda connection: PostgresArchivedEntries(connection, blobs, sign),
        ),
        archived=ArchivedEventStore(store, database, blobs),
        retention=Retention(database, store, blobs, sign, keeping),
    )
