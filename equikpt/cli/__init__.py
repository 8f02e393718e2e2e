"""Commands: options, messages, exit codes."""

__all__ = [
    "browse",
    "entry",
    "launch",
    "openmmlab",
    "param_report",
    "report",
    "test",
    "train",
    "visualize",
]
