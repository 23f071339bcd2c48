"""``python -m swe_agent``: the same as the ``swe-agent`` command."""

from .orchestrator.cli.main import main

raise SystemExit(main())
