"""What the server's environment holds for flows, as variables of superusers."""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import uuid4

from application.commands import together
from application.ports import Attached, Owned, Vault
from application.variables import VALUE
from domain.user.user import User

WELL_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "ANTHROPIC_API_KEY": ("Anthropic API Key",),
    "ASTRA_DB_API_ENDPOINT": (),
    "ASTRA_DB_APPLICATION_TOKEN": ("Astra DB Application Token",),
    "AWS_ACCESS_KEY_ID": ("AWS Access Key ID",),
    "AWS_SECRET_ACCESS_KEY": ("AWS Secret Access Key",),
    "AZURE_OPENAI_API_DEPLOYMENT_NAME": (),
    "AZURE_OPENAI_API_EMBEDDINGS_DEPLOYMENT_NAME": (),
    "AZURE_OPENAI_API_INSTANCE_NAME": (),
    "AZURE_OPENAI_API_KEY": ("Azure OpenAI API Key",),
    "AZURE_OPENAI_API_VERSION": (),
    "COHERE_API_KEY": ("Cohere API Key",),
    "COMPOSIO_API_KEY": ("Composio API Key",),
    "GOOGLE_API_KEY": ("Google API Key",),
    "GROQ_API_KEY": ("Groq API Key",),
    "HUGGINGFACEHUB_API_TOKEN": ("HuggingFace API Token",),
    "NOVITA_API_KEY": ("Novita API Key",),
    "OPENAI_API_KEY": ("OpenAI API Key",),
    "PINECONE_API_KEY": ("Pinecone API Key",),
    "SAMBANOVA_API_KEY": ("SambaNova API Key",),
    "SEARCHAPI_API_KEY": ("SearchAPI API Key",),
    "SERPAPI_API_KEY": ("SerpAPI API Key",),
    "TAVILY_API_KEY": ("Tavily API Key",),
    "UPSTASH_VECTOR_REST_TOKEN": ("Upstash Vector REST Token",),
    "UPSTASH_VECTOR_REST_URL": (),
    "VECTARA_API_KEY": ("Vectara API Key",),
    "VECTARA_CORPUS_ID": (),
    "VECTARA_CUSTOMER_ID": (),
}
"""Names that are worth a variable, with the fields that the editor fills with it."""


class Environment:
    """
    The operator's own values, for those who operate: nobody else gets them.

    What somebody has set by hand under such a name stays; what came from here
    follows the environment.
    """

    def __init__(
        self, environ: Mapping[str, str], vault: Vault, *, more: Iterable[str] = ()
    ) -> None:
        names = {**dict.fromkeys(more, ()), **WELL_KNOWN}
        self._values = {
            name: (value, fields)
            for name, fields in names.items()
            if (value := environ.get(name, "").strip())
        }
        self._vault = vault

    async def given(self, user: User) -> Attached:
        """Let *user* define what is new or differs; return what a save takes along."""
        if not (user.superuser and self._values):
            return Attached()
        known = {one.name: (key, one) for key, one in user.variables.items()}
        followed = [
            one.secret
            for name, (_, one) in known.items()
            if one.imported and name in self._values
        ]
        opened = await self._vault.open(followed) if followed else {}
        attached: list[Attached] = []
        for name, (value, fields) in self._values.items():
            if name not in known:
                attached.append(await self._defined(user, name, value, fields))
                continue
            key, one = known[name]
            if one.imported and opened.get(one.secret) != value:
                sealed = await self._vault.seal(user.id, VALUE, value)
                user.change_variable(key, secret=sealed.id, imported=True)
                attached.append(Attached(secrets=(sealed,), destroyed=(one.secret,)))
        return together(*attached)

    async def _defined(
        self, user: User, name: str, value: str, fields: tuple[str, ...]
    ) -> Attached:
        variable = uuid4()
        sealed = await self._vault.seal(user.id, VALUE, value)
        user.define_variable(
            variable,
            name=name,
            kind="Credential",
            secret=sealed.id,
            default_fields=fields,
            imported=True,
        )
        owned = Owned(variable, "variable", user.id)
        return Attached(secrets=(sealed,), owned=(owned,))
