"""Code that runs inside the sandbox, under the repository's own Python (3.6 and newer): it must not import
anything of this package nor use newer syntax."""
