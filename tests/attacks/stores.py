"""What a server under attack has in its blob store."""

from api.composition import Application


def kept_by(application: Application) -> int:
    """Return how many blobs and arrivals there are."""
    root = application.world.settings.data_path / "blobs"
    return sum(1 for path in root.rglob("*") if path.is_file())
