"""What a run left behind, read again: curves, state, diagnoses and pages."""
