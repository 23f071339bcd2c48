"""AutoGen at the edge: our roles in its teams, our models under its agents, its model clients under our roles."""
