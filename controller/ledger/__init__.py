"""The book: one writer, any number of readers; and whose hand may write it."""
