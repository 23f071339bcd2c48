"""serving: the front doors that other programs call: editors (ACP) and agents (MCP)."""
