"""What an operator may set, by LangBuilder's names, checked before anything starts."""

from infrastructure.settings.loading import (
    SETTINGS as SETTINGS,
    Setting as Setting,
    SettingError as SettingError,
    is_loopback as is_loopback,
    load as load,
    meant as meant,
    unknown as unknown,
)
from infrastructure.settings.shape import Settings as Settings
