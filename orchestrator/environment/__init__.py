"""environment: issues as a reinforcement-learning environment, for Gymnasium and for TRL."""

from __future__ import annotations

ENVIRONMENT_ID = "swe_agent/Issue-v0"


def register() -> None:
    """Make `gymnasium.make("swe_agent/Issue-v0")` work. Gymnasium calls it by itself (entry point); calling
    it again changes nothing."""
    import gymnasium

    if ENVIRONMENT_ID not in gymnasium.registry:
        gymnasium.register(id=ENVIRONMENT_ID, entry_point=f"{__name__}.gym_env:IssueEnv")
