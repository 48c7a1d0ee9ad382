"""Figures on disk, put into a table and into words."""
