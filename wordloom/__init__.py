"""Wordloom in a notebook.

import wordloom
project = wordloom.Project("my-project")
project.neighbours("skipgram", "harbour")

docs/using.md shows all that a Project answers; pipelines/use/project.py is it. What it needs is imported when it is asked.
"""

from pipelines.errors import Fault
from pipelines.use.project import Project

__all__ = ["Fault", "Project"]
