"""Commands: options, messages, exit codes."""

__all__ = ["commands", "entry", "launch", "options"]
