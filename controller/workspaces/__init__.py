"""Files that agents change, and whose each change is: workspaces, transcripts, status files."""
