"""Alt text of pictures in HTML, Markdown and MDX files: what is missing, what might be said, and how it gets there."""
