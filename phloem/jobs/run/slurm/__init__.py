"""Rounds of batch jobs, and a task inside one."""
