"""Campaign verbs and the command line; the composition root."""
