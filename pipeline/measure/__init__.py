"""Paired measurement in fresh worker processes; what is measured is the caller's business."""
