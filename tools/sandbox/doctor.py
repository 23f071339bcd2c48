"""doctor (first version)."""

from .spawner import HolderError


def explain(error: HolderError) -> str:
    return f"the namespace sandbox cannot start: {error}"
