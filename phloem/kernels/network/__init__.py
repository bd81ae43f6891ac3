"""One network for all cells: from maps of predictors to quantities of the monthly model, and the loss of a patch."""
