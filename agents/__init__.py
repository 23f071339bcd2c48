"""agents."""

from .models.imports import install

install()
