"""Impact: which test files a change, or an issue's words, can concern, without running any."""
