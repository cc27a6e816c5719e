"""Measure a library against what people said of its pictures: `snapseek eval`."""
