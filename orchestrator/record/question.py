"""QUESTION: what a generative verifier is trained on, and asked."""

QUESTION = (
    "Does this patch resolve the issue without breaking anything else? Answer YES or NO.\n\n"
    "<issue>\n{issue}\n</issue>\n\n<patch>\n{patch}\n</patch>"
)
