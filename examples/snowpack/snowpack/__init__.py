"""A snow pack over a soil bucket: how a model of one's own is calibrated by phloem (docs/own_model.md)."""
