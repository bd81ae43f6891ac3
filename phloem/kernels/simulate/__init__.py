"""Forward runs: outputs by day, outputs from a day on, pools at year ends."""
