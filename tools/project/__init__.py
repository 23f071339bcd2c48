"""How to run the tests of a repository: detection, set-up, the result."""

from .spec import Inference, Project, Runner, TestCommand

__all__ = ["Inference", "Project", "Runner", "TestCommand"]
