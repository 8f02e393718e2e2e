"""COCO files: read, typed and checked."""
