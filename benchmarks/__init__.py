"""What the program costs, measured from outside: `python -m benchmarks` (or `make bench`) writes RESULTS.md.

Theory of operation. A row of the table is a module with a `ROW` (`figures.Row`): what it measures, how, at which size,
and `measure`, which returns `Figure`s. Rows share a `Rig`: one broker from jars for the whole session, and for every
run a deployment of its own (a topic prefix), so that no run finds what another one left. Load is generated (`load`),
equal for equal seeds, and published before or while a worker runs. Workers are processes of the interpreter that is
asked about; nothing of the measuring runs in them. Cost is the processor time of the whole worker process, taken from
the kernel between "warm" and "done"; the broker's is told apart.
"""
