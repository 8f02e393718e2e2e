"""Check a config, and the options that change it, before anything is built from it."""

import equikpt.compat  # noqa: F401 - readies the stack
