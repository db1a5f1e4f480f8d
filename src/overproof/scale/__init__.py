"""The same commands on a Ray cluster. Nothing is computed here, and nothing else imports ray.

Every step of the package that takes long is a function of a shard of rows or of a cell of a table
(`overproof.processes.Work`). The plain loop maps it in this process; `on_ray.OnRay` maps it over the tasks of a
cluster, with the same bytes. Imports `processes`, `errors` and `version`, and ray where an engine is entered.
"""

from overproof.scale.engine import engine_on as engine_on
