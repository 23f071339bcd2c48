"""Settings: what decides how an issue is solved, once. Flags, configuration keys, SWE_AGENT_* variables, the
JSON schema, run.json, a batch's jobs and the configuration of search and budget are all read off these fields.

A field's flag is its name with dashes (or `Flag.name`); the flag without dashes in front is its key in
config.toml. The class that declares a field is its group in `--help`.
"""

from .flag import Count, Duration, Flag, Group, Words
from .groups import OFFLINE, DatasetSettings, MirrorSettings, Settings
from .refusal import checked

__all__ = [
    "OFFLINE",
    "Count",
    "DatasetSettings",
    "Duration",
    "Flag",
    "Group",
    "MirrorSettings",
    "Settings",
    "Words",
    "checked",
]
