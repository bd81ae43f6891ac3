"""Output of land models as it is found in archives: readers of many dialects."""
