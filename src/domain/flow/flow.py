"""The flow aggregate: a document with a name, edited one decision at a time."""

from collections.abc import Iterable
from typing import Any, Final, Self, override
from uuid import UUID

from msgspec import UNSET, UnsetType

from domain.flow.document import (
    DOCUMENT_EVENTS,
    DocumentEvent,
    apply,
    check,
    has_webhook,
)
from domain.flow.events import (
    Access,
    AccessChanged,
    BuildsCleared,
    EndpointNamed,
    FlowCreated,
    FlowDeleted,
    FlowDescribed,
    FlowEvent,
    FlowImported,
    FlowLocked,
    FlowMoved,
    FlowPublished,
    FlowRenamed,
    FlowUnlocked,
    FlowUnpublished,
    McpExposureChanged,
    SignatureStyle,
    WebhookAccessChanged,
    WebhookSecretChanged,
    WebhookSecretRemoved,
)
from domain.flow.names import check_endpoint
from domain.kernel import Aggregate, DomainError, Json

MOST_PLACES: Final = 100
_SETTINGS = tuple(FlowCreated.__struct_fields__)


class FlowDeletedError(DomainError):
    """This flow has been deleted."""


class NamelessFlowError(DomainError):
    """A flow has a name."""


class NotPublishedError(DomainError):
    """This flow is not published there."""


class TooManyPlacesError(DomainError):
    """A flow can be published in a hundred places at once."""


class NotAnEditError(DomainError):
    """Only edits of the document can be made together."""


class Flow(Aggregate[FlowEvent]):
    """
    A document that people draw and runs execute, with its settings.

    The document has secrets by reference and no canvas state; see
    `domain.flow.document` and `domain.flow.secrets`.
    """

    owner: UUID
    project: UUID
    name: str
    access: Access

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.document: Json = None
        self.description: str | None = None
        self.icon: str | None = None
        self.icon_bg_color: str | None = None
        self.gradient: str | None = None
        self.tags: tuple[str, ...] | None = None
        self.endpoint_name: str | None = None
        self.is_component = False
        self.webhook = False
        self.locked = False
        self.mcp_enabled = False
        self.action_name: str | None = None
        self.action_description: str | None = None
        self.webhook_secret: UUID | None = None
        self.webhook_open = False
        self.webhook_style: SignatureStyle = "standard"
        self.publications: dict[str, str] = {}
        """What it is called on each platform where it is published, by address."""
        self.deleted = False

    @property
    @override
    def subject(self) -> UUID:
        return self.owner

    @classmethod
    def create(
        cls, flow_id: UUID, *, owner: UUID, project: UUID, name: str, **settings: Any
    ) -> Self:
        """Begin a flow; *settings* are further fields of `FlowCreated`."""
        return cls._begun(
            flow_id,
            FlowCreated(owner=owner, project=project, name=name, **settings),
        )

    @classmethod
    def import_(
        cls, flow_id: UUID, *, owner: UUID, project: UUID, name: str, **settings: Any
    ) -> Self:
        """Begin a flow from a file; *settings* are fields of `FlowImported`."""
        return cls._begun(
            flow_id,
            FlowImported(owner=owner, project=project, name=name, **settings),
        )

    @classmethod
    def _begun(cls, flow_id: UUID, event: FlowCreated) -> Self:
        check(event.document)
        _check_name(event.name)
        if event.endpoint_name is not None:
            check_endpoint(event.endpoint_name)
        flow = cls(flow_id)
        flow._record(event)
        return flow

    def edit(self, events: Iterable[FlowEvent]) -> None:
        """Make edits of the document together; none of them if one is refused."""
        self._require_present()
        edits = tuple(events)
        document = self.document
        for event in edits:
            if not isinstance(event, DOCUMENT_EVENTS):
                raise NotAnEditError(type(event).__name__)
            document = apply(document, event)
        if edits:
            check(document)
        for event in edits:
            self._record(event)

    def rename(self, name: str) -> None:
        """Give it another name; the same one changes nothing."""
        self._require_present()
        _check_name(name)
        if name != self.name:
            self._record(FlowRenamed(name=name))

    def describe(
        self,
        *,
        description: str | UnsetType | None = UNSET,
        icon: str | UnsetType | None = UNSET,
        icon_bg_color: str | UnsetType | None = UNSET,
        gradient: str | UnsetType | None = UNSET,
        tags: Iterable[str] | UnsetType | None = UNSET,
    ) -> None:
        """Change what is given and differs of what people see in lists."""
        self._require_present()
        labels = tags if tags is None or isinstance(tags, UnsetType) else tuple(tags)
        change = FlowDescribed(
            description=self._news("description", description),
            icon=self._news("icon", icon),
            icon_bg_color=self._news("icon_bg_color", icon_bg_color),
            gradient=self._news("gradient", gradient),
            tags=self._news("tags", labels),
        )
        if change != FlowDescribed():
            self._record(change)

    def move(self, project: UUID) -> None:
        """Put it into another project; the same one changes nothing."""
        self._require_present()
        if project != self.project:
            self._record(FlowMoved(project=project))

    def name_endpoint(self, endpoint_name: str | None) -> None:
        """Give it an address of its own, or take that away."""
        self._require_present()
        if endpoint_name is not None:
            check_endpoint(endpoint_name)
        if endpoint_name != self.endpoint_name:
            self._record(EndpointNamed(endpoint_name=endpoint_name))

    def set_access(self, access: Access) -> None:
        """Open it to everybody, or close it; the same changes nothing."""
        self._require_present()
        if access != self.access:
            self._record(AccessChanged(access=access))

    def lock(self) -> None:
        """Ask editors to leave it alone; repeating it changes nothing."""
        self._require_present()
        if not self.locked:
            self._record(FlowLocked())

    def unlock(self) -> None:
        """Let editors at it again; repeating it changes nothing."""
        self._require_present()
        if self.locked:
            self._record(FlowUnlocked())

    def expose(
        self,
        *,
        mcp_enabled: bool | UnsetType = UNSET,
        action_name: str | UnsetType | None = UNSET,
        action_description: str | UnsetType | None = UNSET,
    ) -> None:
        """Change what is given and differs of how it shows as a tool."""
        self._require_present()
        change = McpExposureChanged(
            mcp_enabled=self._news("mcp_enabled", mcp_enabled),
            action_name=self._news("action_name", action_name),
            action_description=self._news("action_description", action_description),
        )
        if change != McpExposureChanged():
            self._record(change)

    def publish(
        self,
        *,
        platform: str,
        platform_url: str,
        external_id: str,
        model_name: str,
        error: str | None = None,
    ) -> None:
        """Take note that it is published, once more if it was before."""
        self.require_room(platform_url)
        self._record(
            FlowPublished(
                owner=self.owner,
                platform=platform,
                platform_url=platform_url,
                external_id=external_id,
                model_name=model_name,
                error=error,
            )
        )

    def require_room(self, platform_url: str) -> None:
        """Refuse to be published in ever more places."""
        self._require_present()
        if len(self.publications.keys() | {platform_url}) > MOST_PLACES:
            raise TooManyPlacesError

    def published_at(self, platform_url: str) -> str:
        """Return what it is called there, or refuse."""
        self._require_present()
        if platform_url not in self.publications:
            raise NotPublishedError(platform_url)
        return self.publications[platform_url]

    def unpublish(self, *, platform: str, platform_url: str) -> None:
        """Take note that it is published there no more."""
        external_id = self.published_at(platform_url)
        self._record(
            FlowUnpublished(
                owner=self.owner,
                platform=platform,
                platform_url=platform_url,
                external_id=external_id,
            )
        )

    def sign_webhook(self, secret: UUID, style: SignatureStyle = "standard") -> None:
        """Let deliveries be signed with a *secret* of the vault, and no earlier one."""
        self._require_present()
        self._record(WebhookSecretChanged(secret=secret, style=style))

    def unsign_webhook(self) -> None:
        """Take no signed deliveries any more; without a secret nothing changes."""
        self._require_present()
        if self.webhook_secret is not None:
            self._record(WebhookSecretRemoved())

    def open_webhook(self, *, to_anybody: bool) -> None:
        """Let anybody deliver, or only who shows something; the same is nothing."""
        self._require_present()
        if to_anybody != self.webhook_open:
            self._record(WebhookAccessChanged(open=to_anybody))

    def clear_builds(self) -> None:
        """Clear the outputs that earlier runs left on the canvas."""
        self._require_present()
        self._record(BuildsCleared())

    def delete(self) -> None:
        """Take it away."""
        self._require_present()
        self._record(FlowDeleted())

    def _news(self, field: str, value: Any) -> Any:
        return UNSET if value == getattr(self, field) else value

    def _require_present(self) -> None:
        if self.deleted:
            raise FlowDeletedError(self.id)

    @override
    def _apply(self, event: FlowEvent) -> None:
        match event:
            case FlowCreated():
                for field in _SETTINGS:
                    setattr(self, field, getattr(event, field))
            case (
                FlowRenamed()
                | FlowMoved()
                | FlowDescribed()
                | EndpointNamed()
                | AccessChanged()
                | McpExposureChanged()
            ):
                for field in event.__struct_fields__:
                    self._take(field, getattr(event, field))
            case FlowLocked() | FlowUnlocked():
                self.locked = isinstance(event, FlowLocked)
            case (
                FlowPublished()
                | FlowUnpublished()
                | WebhookSecretChanged()
                | WebhookSecretRemoved()
                | WebhookAccessChanged()
            ):
                self._open_or_close(event)
            case BuildsCleared():
                pass
            case FlowDeleted():
                self.deleted = True
            case _:
                self._apply_edit(event)

    def _take(self, field: str, value: Any) -> None:
        if value is not UNSET:
            setattr(self, field, value)

    def _open_or_close(
        self,
        event: FlowPublished
        | FlowUnpublished
        | WebhookSecretChanged
        | WebhookSecretRemoved
        | WebhookAccessChanged,
    ) -> None:
        match event:
            case FlowPublished():
                there = {event.platform_url: event.external_id}
                self.publications = self.publications | there
            case FlowUnpublished():
                gone = event.platform_url
                kept = {k: v for k, v in self.publications.items() if k != gone}
                self.publications = kept
            case WebhookSecretChanged(secret=secret, style=style):
                self.webhook_secret, self.webhook_style = secret, style
            case WebhookSecretRemoved():
                self.webhook_secret = None
            case WebhookAccessChanged(open=to_anybody):
                self.webhook_open = to_anybody

    def _apply_edit(self, event: DocumentEvent) -> None:
        self.document = apply(self.document, event)
        self.webhook = has_webhook(self.document)


def _check_name(name: str) -> None:
    if not name:
        raise NamelessFlowError
