"""The screen in a browser: a small web server behind a token, and one process of the screen for each page."""
