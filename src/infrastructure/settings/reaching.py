"""Settings of what flows may reach."""

from typing import Annotated

from infrastructure.settings.keeping import Admitting
from infrastructure.settings.kinds import says


class Reaching(Admitting, frozen=True, kw_only=True):
    """What flows may reach."""

    openai_base_url: Annotated[
        str | None,
        says(
            "An OpenAI-compatible server instead of OpenAI.", "http://127.0.0.1:8000/v1"
        ),
    ] = None
    anthropic_base_url: Annotated[
        str | None,
        says("A server that speaks Anthropic's API.", "http://127.0.0.1:8001"),
    ] = None
    google_base_url: Annotated[
        str | None, says("A server that speaks Google's API.", "http://127.0.0.1:8002")
    ] = None
    ollama_base_url: Annotated[
        str | None, says("Where Ollama answers.", "http://127.0.0.1:11434")
    ] = None
    openai_realtime_url: Annotated[
        str | None,
        says(
            "A server that speaks OpenAI's realtime protocol, for voice.",
            "ws://127.0.0.1:8003/v1/realtime",
        ),
    ] = None
    elevenlabs_base_url: Annotated[
        str | None,
        says("A server that speaks ElevenLabs' API.", "http://127.0.0.1:8004"),
    ] = None
    voice_realtime_model: Annotated[
        str, says("The realtime model that has a flow for a tool.")
    ] = "gpt-4o-realtime-preview"
    voice_transcription_model: Annotated[
        str, says("The model that writes down what is said to a flow.")
    ] = "gpt-4o-mini-transcribe"
    voice_speech_model: Annotated[
        str, says("OpenAI's model that reads answers of flows aloud.")
    ] = "gpt-4o-mini-tts"
    voice_elevenlabs_model: Annotated[
        str, says("ElevenLabs' model that reads answers of flows aloud.")
    ] = "eleven_multilingual_v2"
    store: Annotated[bool, says("Offer the component store.")] = False
    store_url: Annotated[
        str | None,
        says(
            "Address of the component store, a Directus.", "https://store.example.org"
        ),
    ] = None
    like_webhook_url: Annotated[
        str | None,
        says(
            "Hook of the component store that counts likes.",
            "https://store.example.org/flows/trigger/likes",
        ),
    ] = None
    download_webhook_url: Annotated[
        str | None,
        says(
            "Hook of the component store that counts downloads.",
            "https://store.example.org/flows/trigger/downloads",
        ),
    ] = None
    allowed_hosts: Annotated[
        tuple[str, ...],
        says(
            "Private hosts that addresses set in flows may name, separated by commas.",
            "models.internal,10.0.0.7",
        ),
    ] = ()
    mcp_install: Annotated[
        bool,
        says(
            "Let people at the server's own machine have it write into the "
            "configuration files of their MCP clients."
        ),
    ] = False
    mcp_commands: Annotated[
        tuple[str, ...],
        says(
            "Commands that may be started as MCP servers, word for word, separated by "
            "commas; before each, the names of variables that people may set for it.",
            "uvx mcp-server-time,GITHUB_TOKEN= npx -y @acme/github-mcp",
        ),
    ] = ()
    store_environment_variables: Annotated[
        bool,
        says(
            "When superusers sign in, give them variables for the providers' keys of "
            "the environment."
        ),
    ] = True
    variables_to_get_from_environment: Annotated[
        tuple[str, ...],
        says(
            "More names of the environment to make variables of, separated by commas.",
            "MY_SEARCH_KEY,MY_CRM_TOKEN",
        ),
    ] = ()
    fallback_to_env_var: Annotated[
        bool, says("Use the environment where a flow names a variable nobody defined.")
    ] = True
