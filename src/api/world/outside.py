"""What this server does on others: publishing, voices, the component store."""

import os
from typing import NamedTuple

from api.world.drawing import Drawing
from api.world.means import Means, Ports
from application.execution.variables import OwnersVariables
from application.publishing import Publishing
from application.shopping import Shopping
from application.voices import Voices
from infrastructure.directus import Directus
from infrastructure.open_web_ui.platform import OpenWebUi
from infrastructure.settings import Settings
from infrastructure.voice.mouths import ElevenLabs, OpenAiSpeech
from infrastructure.voice.realtime import OpenAiRealtime


class Outside(NamedTuple):
    publishing: Publishing
    voices: Voices
    shopping: Shopping


def join_outside(means: Means, ports: Ports, drawing: Drawing) -> Outside:
    allowed = means.settings.allowed_hosts
    return Outside(
        publishing=Publishing(
            ports.store,
            ownership=ports.ownership,
            flows=drawing.flows,
            platform=OpenWebUi(allowed_hosts=allowed),
        ),
        voices=_voices(means.settings, ports),
        shopping=Shopping(
            ports.store, vault=ports.vault, market=_market(means.settings)
        ),
    )


def _market(settings: Settings) -> Directus | None:
    if not settings.store or settings.store_url is None:
        return None
    return Directus(
        settings.store_url,
        like_hook=settings.like_webhook_url,
        download_hook=settings.download_webhook_url,
    )


def _voices(settings: Settings, ports: Ports) -> Voices:
    environ = os.environ if settings.fallback_to_env_var else None
    return Voices(
        realtime=OpenAiRealtime(
            settings.openai_realtime_url, model=settings.voice_realtime_model
        ),
        mouth=OpenAiSpeech(settings.openai_base_url, model=settings.voice_speech_model),
        choir=ElevenLabs(
            settings.elevenlabs_base_url, model=settings.voice_elevenlabs_model
        ),
        variables=OwnersVariables(ports.store, ports.vault, environ=environ),
        transcription_model=settings.voice_transcription_model,
    )
