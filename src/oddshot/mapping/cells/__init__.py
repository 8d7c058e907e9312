"""Cells as people and programs write them, read as numbers, truth values, days or levels."""
