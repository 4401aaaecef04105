"""Pictures that people may have beside their names."""

from importlib.resources import files
from typing import Any, Final

from litestar import Controller, Response, get
from litestar.params import FromPath

from api.file_answers import SANDBOX
from api.security import PUBLIC
from api.v1.files import FileNames
from application.permissions import NotFoundError

FOLDERS: Final = ("People", "Space")


def _read() -> dict[str, bytes]:
    root = files("api") / "profile_pictures"
    return {
        f"{folder}/{file.name}": file.read_bytes()
        for folder in FOLDERS
        for file in sorted((root / folder).iterdir(), key=lambda one: one.name)
        if file.name.endswith(".svg")
    }


class ProfilePictureController(Controller):
    """Serves the few pictures that came with the server, by their exact names."""

    path = "/files/profile_pictures"
    tags = ("Files",)
    opt = PUBLIC

    def __init__(self, owner: object) -> None:
        super().__init__(owner)  # type: ignore[arg-type]  # Litestar's own Router
        self._pictures = _read()

    @get("/list", sync_to_thread=False)
    def many(self) -> FileNames:
        """List the pictures, each with its folder."""
        return FileNames(list(self._pictures))

    @get("/{folder:str}/{file_name:str}", sync_to_thread=False)
    def one(self, folder: FromPath[str], file_name: FromPath[str]) -> Response[Any]:
        """Show a picture."""
        picture = self._pictures.get(f"{folder}/{file_name}")
        if picture is None:
            raise NotFoundError("file", file_name)
        return Response(
            picture,
            media_type="image/svg+xml",
            headers={
                "Cache-Control": "public, max-age=86400",
                "Content-Security-Policy": SANDBOX,
            },
        )
