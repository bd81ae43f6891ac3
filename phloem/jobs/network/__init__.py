"""Networks over patch stores: what they are trained on and compared with."""
