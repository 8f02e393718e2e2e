import equikpt.compat  # noqa: F401 - readies the stack
