"""``python -m swe_agent``: the same as the ``swe-agent`` command."""

from .orchestrator.cli.entry import main

raise SystemExit(main())
