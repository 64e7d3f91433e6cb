"""Actions carried out: starting, ending, nudging, telling; and what a new daemon finds."""
