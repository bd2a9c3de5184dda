"""The night through a real SLURM is that of one machine, and no secret leaves its place."""

import pytest
from cluster.conftest import PASSWORD
from cluster.night import AIR, SETTINGS

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture(scope="module")
def nights(new_night, on_one_machine):
    """A night through SLURM's plugin and, at the same time, the air of one through sbatch."""
    plugin, generic = new_night("slurm", SETTINGS), new_night("cluster-generic", AIR)
    plugin.take_simulation(on_one_machine.folder)
    for night, process in [(night, night.start()) for night in (plugin, generic)]:
        assert process.wait() == 0, (night.folder / "output.txt").read_text()
    return plugin, generic


@pytest.fixture(scope="module")
def finished(nights):
    """The night that ran through SLURM's plugin."""
    return nights[0]


def test_products_are_those_of_one_machine(finished, on_one_machine):
    made, expected = finished.contents(), on_one_machine.contents()
    assert len(made) >= 8
    assert made == {name: expected[name] for name in made}


def test_any_batch_system_makes_the_same_products(nights, on_one_machine, slurm):
    night = nights[1]
    made, expected = night.contents(), on_one_machine.contents()
    assert len(made) == 6
    assert made == {name: expected[name] for name in made}
    jobs = slurm.jobs(night.folder)
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    assert len(jobs) == 5  # the archive, the meteorological data, the air, two pages


def test_a_group_of_steps_is_one_job(finished, slurm):
    """No job but the index of the DL0 is a single short step."""
    jobs = slurm.jobs(finished.folder)
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    steps = list((finished.folder / "logs").rglob("*.benchmark.tsv"))
    assert 3 <= len(jobs) <= len(steps) / 2
    assert {job["reqmem"] for job in jobs} <= {"700M", "1000M", "1200M", "1500M"}


def test_the_password_of_the_archive_is_in_its_file_alone(finished, slurm, postgresql):
    jobs = [job["jobid"] for job in slurm.jobs(finished.folder)]
    scripts = [slurm.run("scontrol", "write", "batch_script", job, "-") for job in jobs]
    assert all("snakemake" in script for script in scripts)
    assert PASSWORD not in "".join(scripts)
    for folder in (finished.folder, slurm.folder):
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".fz":
                assert PASSWORD.encode() not in path.read_bytes(), path
    assert PASSWORD in postgresql.passwords.read_text()
