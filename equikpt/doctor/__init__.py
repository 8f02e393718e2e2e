"""Would training work here? A table of checks; ``tools/doctor.py`` prints it."""

__all__ = ["checks", "run", "training"]
