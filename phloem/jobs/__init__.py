"""Campaign verbs and the command line; the composition root, which imports every other part."""
