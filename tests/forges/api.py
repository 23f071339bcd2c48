"""One request to a forge's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forges.forge_server import ForgeServer


class Api:
    """Of the holder of `token`."""

    def __init__(self, forge: ForgeServer, token: str | None) -> None:
        self._forge = forge
        self._token = token
