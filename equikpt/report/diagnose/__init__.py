"""Diagnose a run from its curves."""
