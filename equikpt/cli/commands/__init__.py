"""One command a file: its options as a dataclass, and what it does with them."""
