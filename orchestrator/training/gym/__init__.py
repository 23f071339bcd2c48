"""environment: issues as a reinforcement-learning environment, for Gymnasium and for TRL."""

from __future__ import annotations

from importlib.util import find_spec

ENVIRONMENT_ID = "swe_agent/Issue-v0"


def register() -> None:
    """Make `gymnasium.make("swe_agent/Issue-v0")` work. Importing this package does it, and importing
    `swe_agent` after gymnasium; calling it again changes nothing."""
    import gymnasium

    if ENVIRONMENT_ID not in gymnasium.registry:
        gymnasium.register(id=ENVIRONMENT_ID, entry_point=f"{__name__}.gym_env:IssueEnv")


if find_spec("gymnasium") is not None:
    register()
