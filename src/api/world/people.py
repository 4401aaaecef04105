"""Users, how they sign in, their keys and variables."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from api.adapters import KeptSessions, SignedTokens
from api.world.drawing import Drawing
from api.world.means import Means, Ports
from application.api_keys import ApiKeys
from application.erasure import Erasure
from application.failures import Failures
from application.flows import NewFlow
from application.sessions import Sessions
from application.standing import Standings
from application.users import Passwords, Users
from application.variables import Variables
from infrastructure.credentials import (
    ApiKeyUses,
    PasswordHashing,
    PostgresSessions,
    SignInLinks,
)
from infrastructure.event_store.heads import PostgresHeads
from infrastructure.event_store.remains import PostgresEstate
from infrastructure.postgres import Database
from infrastructure.settings import Settings
from infrastructure.tokens import Tokens
from projections.upkeep import Upkeep


class People(NamedTuple):
    users: Users
    erasure: Erasure
    api_keys: ApiKeys
    key_uses: ApiKeyUses
    variables: Variables
    sessions: Sessions
    standings: Standings


def join_people(
    means: Means,
    read_tables: Upkeep,
    *,
    ports: Ports,
    drawing: Drawing,
    starters: Sequence[NewFlow],
) -> People:
    settings, keyring, database = means.settings, means.keyring, means.database
    store, claims, ownership = ports.store, ports.claims, ports.ownership
    opened = _opened(database, settings)
    passwords = Passwords(claims, ports.vault, PasswordHashing())
    api_keys = ApiKeys(
        store, claims=claims, ownership=ownership, digest=keyring.bearer_hash
    )
    key_uses = ApiKeyUses(database)
    standings = Standings(store, PostgresHeads(database))
    sessions = Sessions(
        store,
        claims=claims,
        accounts=standings,
        passwords=passwords,
        opened=opened,
        links=SignInLinks(database, keyring),
        mint=SignedTokens(Tokens(keyring, settings)),
        api_keys=api_keys,
        uses=key_uses,
        failures=Failures(means.tallies),
    )
    users = _users(
        ports,
        drawing,
        passwords=passwords,
        opened=opened,
        starters=starters,
        environ=os.environ if settings.store_environment_variables else {},
    )
    variables = Variables(store, ownership=ownership, vault=ports.vault)
    erasure = _erasure(means, read_tables, opened)
    return People(users, erasure, api_keys, key_uses, variables, sessions, standings)


def _opened(database: Database, settings: Settings) -> KeptSessions:
    lifetime = timedelta(seconds=settings.refresh_token_expire_seconds)
    return KeptSessions(PostgresSessions(database, lifetime=lifetime))


def _erasure(means: Means, read_tables: Upkeep, opened: KeptSessions) -> Erasure:
    return Erasure(
        means.store,
        estate=PostgresEstate(means.database, means.keys, means.blobs),
        sessions=opened,
        signals=means.signals,
        read_tables=read_tables,
    )


def _users(
    ports: Ports,
    drawing: Drawing,
    *,
    passwords: Passwords,
    opened: KeptSessions,
    starters: Sequence[NewFlow],
    environ: Mapping[str, str],
) -> Users:
    return Users(
        ports.store,
        claims=ports.claims,
        passwords=passwords,
        sessions=opened,
        flows=drawing.flows,
        starters=starters,
        vault=ports.vault,
        environ=environ,
    )
