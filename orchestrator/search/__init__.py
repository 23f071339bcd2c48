"""Tree search over candidate patches. Takes functions and knows no agent; see docs/search.md."""
