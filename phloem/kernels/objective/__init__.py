"""What is minimised: cells as the loss reads them, its terms, and the bounded log transform."""
