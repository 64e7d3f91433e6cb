"""The agents' own hook systems: how they are wired to the inbox, and what they say."""
