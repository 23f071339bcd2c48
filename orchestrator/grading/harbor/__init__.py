"""Harbor trials: boxes, phases, verifiers, results."""
