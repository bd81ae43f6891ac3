"""The SLURM engine: job arrays through submitit, the states of jobs, the job that this process is in."""
