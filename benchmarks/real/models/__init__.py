"""The models, a module for each theme; every builder makes one with fresh, seeded weights and fetches nothing."""
