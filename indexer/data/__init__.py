"""Word lists of the taggers."""
