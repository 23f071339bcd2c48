"""Trained verifiers: how likely a patch is right, from what was executed or from a reward model behind a URL."""
