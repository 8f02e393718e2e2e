"""Dividing an annotation file into parts that have no image, horse or video in common."""
