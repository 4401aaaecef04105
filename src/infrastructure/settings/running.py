"""Settings of how runs go, what the page is told, and how long things are kept."""

from typing import Annotated, Literal

from msgspec import Meta

from infrastructure.settings.kinds import Count, Seconds, Span, says
from infrastructure.settings.reaching import Reaching


class Running(Reaching, frozen=True, kw_only=True):
    """How runs go."""

    event_delivery: Annotated[
        Literal["streaming", "polling", "direct"],
        says("How the page follows a run: streaming, polling or direct."),
    ] = "streaming"
    max_concurrent_runs: Annotated[Count, says("Runs a server executes at once.")] = 64
    max_queued_runs: Annotated[
        int,
        Meta(ge=0),
        says("Runs that may wait for room; beyond it starting one gets a 503."),
    ] = 1000
    vertex_timeout_seconds: Annotated[Seconds, says("Seconds a component has.")] = 600


class Showing(Running, frozen=True, kw_only=True):
    """What the page is told."""

    auto_saving: Annotated[bool, says("Let the page save flows by itself.")] = True
    auto_saving_interval: Annotated[Count, says("Milliseconds between saves.")] = 1000
    health_check_max_retries: Annotated[
        Count, says("How often the page asks for health.")
    ] = 5


class Retaining(Showing, frozen=True, kw_only=True):
    """How long things are kept."""

    retention_messages_days: Annotated[
        Span, says("Days that messages are kept; 0 keeps them for ever.")
    ] = 90
    retention_transactions_days: Annotated[
        Span, says("Days that transactions are kept; 0 keeps them for ever.")
    ] = 30
    retention_builds_days: Annotated[
        Span, says("Days that results of vertices are shown; 0 keeps them for ever.")
    ] = 7
    retention_runs_days: Annotated[
        Span,
        says(
            "Days until finished runs are archived, by whole months; 0 leaves them in "
            "the log for ever. No less than transactions and results are kept."
        ),
    ] = 90
    retention_files_hours: Annotated[
        Span, says("Hours that temporary files are kept; 0 keeps them for ever.")
    ] = 24
    retention_sessions_hours: Annotated[
        Span,
        says("Hours that sessions are kept after their end; 0 keeps them for ever."),
    ] = 24
    retention_interval_hours: Annotated[
        Span,
        says("Hours between removals of what outlived its time; 0 leaves them to you."),
    ] = 6
    public_flow_cleanup_interval: Annotated[
        Span,
        says("Seconds between removals of what visitors left; 0 leaves it lying."),
    ] = 3600
    public_flow_expiration: Annotated[
        Span,
        says("Seconds that what a visitor left is kept after their last run."),
    ] = 86_400
