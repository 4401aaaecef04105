"""How an MCP server is reached: a command to start, or an address to ask."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from domain.kernel import DomainError, Json

type Config = dict[str, Json]
type Mode = Literal["stdio", "sse"]

PLACEHOLDER: Final = "********"
"""What people see of a secret; sent back, it means that nothing changed."""

_HIDDEN: Final = ("env", "headers")
_PASSWORD: Final = re.compile(r"(?<=://)([^/?#@:]*):([^/?#]+)(?=@)")
"""The user and the password in an address; an ``@`` may stand in the password."""
_SCHEMES: Final = ("http://", "https://")


class UnusableMcpServerError(DomainError):
    """An MCP server has either a command with arguments, or a url."""


def check(config: Config) -> None:
    """Refuse what says of no server how it is reached."""
    if isinstance(config.get("command"), str) and config["command"]:
        _check_list("args", config.get("args"))
    elif not isinstance(url := config.get("url"), str):
        raise UnusableMcpServerError
    elif not url.lower().startswith(_SCHEMES):
        raise UnusableMcpServerError("a url begins with http:// or https://")
    for name in _HIDDEN:
        _check_texts(name, config.get(name))


def mode_of(config: Config) -> Mode:
    """Return how a server is spoken to; ``sse`` stands for every address."""
    return "stdio" if config.get("command") else "sse"


def shown(config: Config) -> Config:
    """
    Return *config* with placeholders for what is secret.

    That is what is in its env and headers, and the password in its url.
    """
    return (
        config
        | {
            name: {key: PLACEHOLDER if text else text for key, text in texts.items()}
            for name, texts in _hidden(config).items()
        }
        | _url(config, PLACEHOLDER)
    )


def kept(config: Config, before: Config) -> Config:
    """Return *config* with what *before* has wherever it says ``********``."""
    known = _hidden(before)
    hidden: Config = {
        name: {
            key: known.get(name, {}).get(key, "") if text == PLACEHOLDER else text
            for key, text in texts.items()
        }
        for name, texts in _hidden(config).items()
    }
    return config | hidden | _kept_url(config, before)


def _kept_url(config: Config, before: Config) -> Config:
    """Return the address with its password again, if it is still the same one."""
    same = "url" in config and _url(before, PLACEHOLDER).get("url") == config["url"]
    return {"url": before["url"]} if same else {}


def _url(config: Config, password: str) -> Config:
    """Return the address with *password* in place of the one in it, if there is one."""
    url = config.get("url")
    if not isinstance(url, str) or not _PASSWORD.search(url):
        return {}
    return {"url": _PASSWORD.sub(rf"\1:{password}", url, count=1)}


def _hidden(config: Config) -> dict[str, Mapping[str, Any]]:
    return {
        name: config[name] for name in _HIDDEN if isinstance(config.get(name), Mapping)
    }


def _check_list(name: str, value: Json) -> None:
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UnusableMcpServerError(f"{name} is a list of texts")


def _check_texts(name: str, value: Json) -> None:
    if value is None:
        return
    if not isinstance(value, dict) or not all(
        isinstance(one, str) for one in value.values()
    ):
        raise UnusableMcpServerError(f"{name} is an object of texts")
