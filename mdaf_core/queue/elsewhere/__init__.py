"""Jobs on other machines: a Ray cluster (`ray_cluster.py`) or SLURM (`slurm.py`), which start, watch and end processes
and know nothing of the queue (`executor.py`).

The worker that the queue started stays here as the job's steward (`steward.py`): it holds the lock and the token, so
that for the queue nothing is different. What runs on the other machine (`node.py`, kept by `hold.py`) reads and writes
files in one folder an attempt on the shared file system (`folder.py`), never SQLite, whose locks do not reach across
machines. Where no file system is shared (`apart.py`), a courier here and an outpost there carry that folder's files,
the data and the run's between two folders of the same form.
"""
