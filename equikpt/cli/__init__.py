"""Commands: options, messages, exit codes."""
