"""What is opened before anything can be joined, and the ports that it meets."""

from typing import NamedTuple

from application.ports import (
    Blobs,
    Canvas,
    Claims,
    Ownership,
    Signals,
    Vault,
)
from application.ports.tallies import Tallies
from infrastructure.event_store.canvas import PostgresCanvas
from infrastructure.event_store.claims import PostgresClaims
from infrastructure.event_store.ownership import PostgresOwnership
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.secrets import PostgresContents, PostgresVault
from infrastructure.settings import Settings
from infrastructure.subject_keys import PostgresSubjectKeys


class Means(NamedTuple):
    """What is opened before anything can be joined."""

    settings: Settings
    keyring: Keyring
    database: Database
    store: PostgresEventStore
    keys: PostgresSubjectKeys
    blobs: Blobs
    contents: PostgresContents
    vault: PostgresVault
    signals: Signals
    tallies: Tallies


class Ports(NamedTuple):
    store: PostgresEventStore
    claims: Claims
    ownership: Ownership
    canvas: Canvas
    vault: Vault
    contents: PostgresContents


def ports_of(means: Means) -> Ports:
    database = means.database
    return Ports(
        store=means.store,
        claims=PostgresClaims(database),
        ownership=PostgresOwnership(database),
        canvas=PostgresCanvas(database),
        vault=means.vault,
        contents=means.contents,
    )
