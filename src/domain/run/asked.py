"""What a request wants of its run: inputs, tweaks, and which answers to return."""

from typing import Any

import msgspec


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
    session: str | None = None
    files: tuple[str, ...] = ()
    tweaks: dict[str, Any] = msgspec.field(default_factory=dict)
    start: str | None = None
    stop: str | None = None
    stream: bool | None = None
    whole_run: bool = False
    """An API run: its session overwrites every vertex's, and it collects outputs."""
