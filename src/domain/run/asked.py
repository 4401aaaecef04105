"""What a request wants of its run: inputs, tweaks, and which answers to return."""

from typing import Any

import msgspec


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Something said before, which a request brings along."""

    sender: str
    sender_name: str
    text: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """
    A request as it is kept: the content of ``run.requested``.

    It holds no secret, for those in *tweaks* are references by then.
    """

    input_value: Any = None
    input_type: str = "chat"
    components: tuple[str, ...] = ()
    output_type: str = "chat"
    output_component: str = ""
    outputs: tuple[str, ...] = ()
    """Ids or display names of the vertices to answer with, whatever their type."""
    session: str | None = None
    told: tuple[Turn, ...] = ()
    """What was said before and is kept by whoever asks, in order."""
    alone: bool = False
    """Whether *told* is all that was said before, whatever the session holds."""
    echo: dict[str, Any] = msgspec.field(default_factory=dict)
    """What the door by which it came repeats of the request in its answers."""
    payload: str | None = None
    """The body of a webhook call, for every vertex that takes one."""
    files: tuple[str, ...] = ()
    tweaks: dict[str, Any] = msgspec.field(default_factory=dict)
    start: str | None = None
    stop: str | None = None
    stream: bool | None = None
    whole_run: bool = False
    """An API run: its session overwrites every vertex's, and it collects outputs."""
