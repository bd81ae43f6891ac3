"""What losses of any model share: cells in tables, the objective, the bounded log transform."""
