"""What this server does on other people's: where flows are published."""

from typing import NamedTuple

from api.world.drawing import Drawing
from api.world.means import Means, Ports
from application.publishing import Publishing
from infrastructure.open_web_ui.platform import OpenWebUi


class Outside(NamedTuple):
    publishing: Publishing


def join_outside(means: Means, ports: Ports, drawing: Drawing) -> Outside:
    allowed = means.settings.allowed_hosts
    return Outside(
        publishing=Publishing(
            ports.store,
            ownership=ports.ownership,
            flows=drawing.flows,
            platform=OpenWebUi(allowed_hosts=allowed),
        )
    )
