"""A Keras graph read as call sites, changed, and rebuilt as a Keras model."""
