"""The ``eventsourcing`` library's own test-cases, on our stores and checkpoints."""

from collections.abc import Iterator
from typing import ClassVar, override

import pytest
from eventsourcing.tests import persistence as shipped

from domain.kernel import Log
from tests.contracts.library_recorders import (
    Background,
    CheckpointRecorder,
    LogRecorder,
    Store,
    StreamRecorder,
    in_memory,
    on_postgres,
)
from tests.servers import Addresses


class Lent:
    """What a test-case works on; our versions begin where the library's zero is."""

    INITIAL_VERSION = 0
    log: ClassVar[Log] = "core"
    background: Background
    store: Store


class OnPostgres(Lent):
    @pytest.fixture(autouse=True)
    def lent(self, database_addresses: Addresses) -> Iterator[None]:
        with on_postgres(database_addresses.dsn) as (self.background, _, self.store):
            yield


class InMemory(Lent):
    @pytest.fixture(autouse=True)
    def lent(self) -> Iterator[None]:
        with in_memory() as (self.background, self.store):
            yield


class Streams(Lent):
    def create_recorder(self) -> StreamRecorder:
        return StreamRecorder(self.background, self.store, log=self.log)


class Logs(Lent):
    def create_recorder(self) -> LogRecorder:
        return LogRecorder(self.background, self.store, log=self.log)


class WholeLogs(Logs, shipped.ApplicationRecorderTestCase[LogRecorder]):
    """With the case that the library leaves to those who have subscriptions."""

    __test__ = False

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


@pytest.mark.server
class TestStreamsOnPostgres(OnPostgres, Streams, shipped.AggregateRecorderTestCase):
    pass


class TestStreamsInMemory(InMemory, Streams, shipped.AggregateRecorderTestCase):
    pass


@pytest.mark.server
@pytest.mark.slow
class TestCoreLogOnPostgres(OnPostgres, WholeLogs):
    __test__ = True


@pytest.mark.server
@pytest.mark.slow
class TestRunsLogOnPostgres(OnPostgres, WholeLogs):
    __test__ = True
    log = "runs"


@pytest.mark.slow
class TestLogInMemory(InMemory, WholeLogs):
    __test__ = True


@pytest.mark.server
class TestOrderOnPostgres(
    OnPostgres, Logs, shipped.NonInterleavingNotificationIDsBaseCase
):
    pass


class TestOrderInMemory(InMemory, Logs, shipped.NonInterleavingNotificationIDsBaseCase):
    pass


@pytest.mark.server
class TestCheckpoints(shipped.TrackingRecorderTestCase):
    """A log is to a checkpoint what an application is to the library's tracking."""

    recorder: CheckpointRecorder

    @pytest.fixture(autouse=True)
    def lent(self, database_addresses: Addresses) -> Iterator[None]:
        with on_postgres(database_addresses.dsn) as (background, database, _):
            self.recorder = CheckpointRecorder(background, database)
            yield

    @override
    def create_recorder(self) -> CheckpointRecorder:
        return self.recorder
