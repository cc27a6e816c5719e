"""Model weights: inside installed packages, or in the folder of fetched models."""
