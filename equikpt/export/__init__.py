"""Models as files that run without torch, and pages that run them in a browser."""
