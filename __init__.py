"""swe_agent: an issue becomes a verified patch, and every run becomes training data."""

__version__ = "0.1.0"

import sys as _sys

if "gymnasium" in _sys.modules:  # as its users expect, importing a package registers its environments
    from .orchestrator.training import gym as _environment

    _environment.register()
