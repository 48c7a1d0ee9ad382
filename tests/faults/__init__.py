"""Faults that an exporter, a disk or a person could put into an artifact: each must be caught by some check."""
