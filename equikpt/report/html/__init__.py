"""Pages: reports, monitors and checked labels."""
