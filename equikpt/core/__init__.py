"""Base of every room: files, images, COCO files, configs; nothing here knows MMPose."""

__all__ = ["configs", "files", "image", "radiograph", "tables"]
