"""Pages for people: figures and the night page."""
