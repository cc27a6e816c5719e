"""The encoder for the browser: what a page needs to look at a picture that is not uploaded."""
