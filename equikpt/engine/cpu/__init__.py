"""Hooks and wrappers that make training on a CPU faster, and nothing else."""
