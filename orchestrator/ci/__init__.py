"""ci: an event of a forge's automation becomes a solved issue, a pull request and a report."""
