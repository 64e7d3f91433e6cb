"""An agent CLI put through its paces: the real program against the scripted model, in a place of its own."""
