"""Predictions to look at: on pictures, on sheets, in videos, beside the truth."""
