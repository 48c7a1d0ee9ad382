"""Loading a bundle where it is deployed, without TensorFlow."""
