"""The queue and what serves it: `api` is the door, docs/jobs.md tells who starts what and what each death does."""
