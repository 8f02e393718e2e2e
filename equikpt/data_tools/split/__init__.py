"""Dividing an annotation file into parts that have no picture, horse or video in common."""
