"""Many shapes: inputs to jobs, jobs to folders, folders to one table, whatever fails."""
