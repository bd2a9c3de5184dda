"""Kill -9 of Snakemake, steps, nodes and the database: started again, the night is the same.

``KILLS`` says how many (three unless it is given), ``SEED`` repeats a series.
"""

import os
import random

import pytest
from cluster.kills import Killer, disturbed
from cluster.night import AIR

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
PROFILES = ("slurm", "cluster-generic")
KINDS = ("snakemake", "worker", "node", "database")
KILLS = int(os.environ.get("KILLS") or 3)
SEED = int(os.environ.get("SEED") or random.randrange(10_000))


@pytest.mark.parametrize("series", range(-(-KILLS // len(KINDS))))
def test_killed_night_is_the_undisturbed_one(new_night, slurm, postgresql, on_one_machine, series):
    rng = random.Random(f"{SEED} {series}")
    kinds = rng.sample(KINDS, k=min(len(KINDS), KILLS - len(KINDS) * series))
    print(f"\nSEED={SEED}, series {series}: {', '.join(kinds)}")
    while kinds:
        night = new_night(PROFILES[series % len(PROFILES)], AIR)
        kinds = disturbed(kinds, Killer(night, slurm, postgresql, rng), print)
        made, expected = night.contents(), on_one_machine.contents()
        assert len(made) == 6
        assert made == {name: expected[name] for name in made}
        assert list((night.folder / "results").rglob("certification/*.json"))
