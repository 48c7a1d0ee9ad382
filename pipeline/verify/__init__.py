"""Judging artifacts against the frozen truth, each runtime in a process of its own."""
