"""Users, how they sign in, their keys and variables."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from api.adapters import KeptSessions, SignedTokens
from api.world.drawing import Drawing
from api.world.means import Means, Ports
from application.api_keys import ApiKeys
from application.environment import Environment
from application.erasure import Erasure
from application.failures import Failures
from application.flows import NewFlow, from_file
from application.ports import Claims, Vault
from application.sessions import Sessions
from application.standing import Standings
from application.superusers import Superusers
from application.users import Passwords, Users
from application.variables import Variables
from domain.kernel import Json
from infrastructure.credentials import (
    ApiKeyUses,
    PasswordHashing,
    SignInLinks,
)
from infrastructure.event_store.heads import PostgresHeads
from infrastructure.event_store.remains import PostgresEstate
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.sessions import PostgresSessions
from infrastructure.settings import Settings
from infrastructure.tokens import Tokens
from projections.upkeep import Upkeep
from projections.users.views import UserViews


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
    starters: Sequence[Mapping[str, Json]],
) -> People:
    settings, keyring, database = means.settings, means.keyring, means.database
    opened = _opened(database, settings)
    passwords = Passwords(ports.claims, ports.vault, PasswordHashing())
    api_keys, key_uses = _api_keys(ports, keyring), ApiKeyUses(database)
    environment = _environment(settings, ports.vault)
    standings = Standings(ports.store, PostgresHeads(database))
    superusers = _superusers(ports.claims, database, standings)
    sessions = Sessions(
        ports.store,
        claims=ports.claims,
        accounts=standings,
        passwords=passwords,
        opened=opened,
        links=SignInLinks(database, keyring),
        mint=SignedTokens(Tokens(keyring, settings)),
        api_keys=api_keys,
        uses=key_uses,
        failures=Failures(means.tallies),
        environment=environment,
    )
    users = _users(
        ports,
        drawing,
        passwords=passwords,
        opened=opened,
        starters=to_begin_with(settings, starters),
        environment=environment,
        superusers=superusers,
    )
    variables = _variables(ports)
    erasure = _erasure(means, read_tables, opened, superusers)
    return People(users, erasure, api_keys, key_uses, variables, sessions, standings)


def _variables(ports: Ports) -> Variables:
    return Variables(ports.store, ownership=ports.ownership, vault=ports.vault)


def _api_keys(ports: Ports, keyring: Keyring) -> ApiKeys:
    return ApiKeys(
        ports.store,
        claims=ports.claims,
        ownership=ports.ownership,
        digest=keyring.bearer_hash,
    )


def _superusers(claims: Claims, database: Database, accounts: Standings) -> Superusers:
    return Superusers(claims, known=UserViews(database.engine), accounts=accounts)


def _opened(database: Database, settings: Settings) -> KeptSessions:
    lifetime = timedelta(seconds=settings.refresh_token_expire_seconds)
    leeway = timedelta(seconds=settings.refresh_leeway_seconds)
    return KeptSessions(PostgresSessions(database, lifetime=lifetime, leeway=leeway))


def _environment(settings: Settings, vault: Vault) -> Environment:
    environ = os.environ if settings.store_environment_variables else {}
    more = settings.variables_to_get_from_environment
    return Environment(environ, vault, more=more)


def _erasure(
    means: Means, read_tables: Upkeep, opened: KeptSessions, superusers: Superusers
) -> Erasure:
    return Erasure(
        means.store,
        estate=PostgresEstate(means.database, means.keys, means.blobs),
        sessions=opened,
        superusers=superusers,
        signals=means.signals,
        read_tables=read_tables,
    )


def to_begin_with(
    settings: Settings, starters: Sequence[Mapping[str, Json]]
) -> list[NewFlow]:
    """Return the flows that whoever joins is given."""
    return [from_file(one) for one in starters if settings.create_starter_projects]


def _users(
    ports: Ports,
    drawing: Drawing,
    *,
    passwords: Passwords,
    opened: KeptSessions,
    starters: Sequence[NewFlow],
    environment: Environment,
    superusers: Superusers,
) -> Users:
    return Users(
        ports.store,
        claims=ports.claims,
        passwords=passwords,
        sessions=opened,
        flows=drawing.flows,
        starters=starters,
        environment=environment,
        superusers=superusers,
    )
