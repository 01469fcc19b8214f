"""The files that the pages load, from a package of the lock file: no other host is asked."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from deployments.api.errors import NotFoundError

OWN = Path(__file__).parent / "static"
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
FILES = {
    **dict.fromkeys(("swagger.js", "sign-in.css"), OWN),
    **dict.fromkeys(
        ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js", "favicon.png"), None
    ),
}

# The one thing that Redoc loads from another host: the logo beside its maker's name.
_REDOC_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    media_type: str
    digest: str


@cache
def asset(name: str) -> Asset:
    """Read a file once; blocking the first time."""
    if name not in FILES:
        raise NotFoundError(f"There is no file {name}")
    folder = FILES[name] or _package_folder()
    content = (folder / name).read_bytes().replace(_REDOC_LOGO, b"/docs/assets/favicon.png")
    digest = sha256(content).hexdigest()[:16]
    return Asset(content, MEDIA_TYPES[Path(name).suffix], digest)


def address(name: str) -> str:
    """Give the file's address; it names the content, so that a browser may keep it for good."""
    return f"/docs/assets/{name}?v={asset(name).digest}"


def _package_folder() -> Path:
    # Found without importing the package, which builds an application of its own.
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise NotFoundError("The package fastapi-offline is not installed: run `make install`")
    return Path(found.origin).parent / "static"
