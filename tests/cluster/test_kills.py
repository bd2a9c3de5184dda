"""Kill -9 of Snakemake, steps, nodes and the database: started again, the night is the same.

``KILLS`` says how many (four unless it is given), ``SEED`` repeats a series.
"""

import os
import random

import pytest
from cluster.kills import Killer, disturbed
from cluster.night import AIR, Night

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
PROFILES = ("slurm", "cluster-generic")
KINDS = ("snakemake", "worker", "node", "database")
KILLS = int(os.environ.get("KILLS") or len(KINDS))
SEED = int(os.environ.get("SEED") or random.randrange(10_000))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Contents of the products of the same night on one machine."""
    night = Night(tmp_path_factory.mktemp("undisturbed"), settings=AIR)
    code, told = night.run()
    assert code == 0, told
    assert len(night.contents()) == 6
    return night.contents()


@pytest.mark.parametrize("series", range(-(-KILLS // len(KINDS))))
def test_killed_night_is_the_undisturbed_one(new_night, slurm, postgresql, undisturbed, series):
    rng = random.Random(f"{SEED} {series}")
    kinds = rng.sample(KINDS, k=min(len(KINDS), KILLS - len(KINDS) * series))
    print(f"\nSEED={SEED}, series {series}: {', '.join(kinds)}")
    night = new_night(PROFILES[series % len(PROFILES)], AIR)
    disturbed(kinds, Killer(night, slurm, postgresql, rng), print)
    made = night.contents()
    assert made == undisturbed
    assert list((night.folder / "results").rglob("certification/*.json"))
