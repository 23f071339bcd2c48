"""The repair engine: a program of the standard library and pytest that runs inside the sandbox.

It is shipped as source into the sandbox and run by the target's own interpreter (Python >= 3.8), so
nothing here imports the rest of the package and nothing needs a later syntax.
"""
