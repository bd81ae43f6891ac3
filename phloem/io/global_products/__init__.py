"""Global monthly products as patches: what lies where, cells that can be used, towers on the grid."""
