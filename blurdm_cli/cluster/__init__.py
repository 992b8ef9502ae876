"""A Ray cluster: the files of a run are shared among the machines of a cluster.

Only this package imports Ray, when a run asks for a cluster. The run itself is the plain one
(`pipeline/batch.py`); the cluster is its pool of workers (`pipeline/pool.py`).
"""
