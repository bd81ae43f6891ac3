"""Inside a worker: the life of a tile, its failures, its parts."""
