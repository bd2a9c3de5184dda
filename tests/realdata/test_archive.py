"""CTAO's reference atmospheres and real NectarCAM coefficients through the archive and back."""

import pytest
from ctapipe.core import run_tool

from calibpipe.archive.lookup import lookup, product_path
from calibpipe.archive.repository import open_archive
from calibpipe.archive.validity import moment
from calibpipe.core.files import sha256
from calibpipe.tools.certify import Certify
from calibpipe.tools.export import Export
from calibpipe.tools.import_products import ImportProducts
from calibpipe.tools.init_db import InitDb
from calibpipe.tools.upload_atmospheric_model_data import UploadAtmosphericModelData
from calibpipe.tools.upload_observatory_data import UploadObservatoryData

pytestmark = pytest.mark.realdata
SEASONS = {
    "CTAO-North": ("winter", "intermediate", "summer"),
    "CTAO-South": ("winter", "summer"),
}


def run(tool, folder, *options):
    signed = [] if tool in (InitDb, Export) else ["--reason=a test", "--author=a tester"]
    assert run_tool(tool(), [*options, *signed], cwd=folder, raises=True) == 0


@pytest.fixture(scope="module")
def archives(tmp_path_factory, root, shared_data):
    """Archive with everything uploaded, and the one that imported it; the files by key."""
    folder = tmp_path_factory.mktemp("archives")
    for name in ("first", "second"):
        run(InitDb, folder, f"--archive={name}")
    sites = [f"--site={root}/config/sites/{site}.yaml" for site in SEASONS]
    run(UploadObservatoryData, folder, "--archive=first", *sites)
    files = {}
    for site, seasons in SEASONS.items():
        for season in seasons:
            name = f"reference_atmo_model_v0_{site.lower()}_{season}.ecsv"
            files[site, season] = shared_data / "reference_models" / name
            run(
                UploadAtmosphericModelData,
                folder,
                "--archive=first",
                f"--model={files[site, season]}",
                f"--site={site}",
                f"--season={season}",
                "--model-version=v0",
                "--begin=2023-01-01T00:00:00",
            )
    files["NectarCAM"] = shared_data / "camera/nectarcam_run3255_calibration.hdf5"
    run(
        Certify,
        folder,
        "--archive=first",
        f"--product={files['NectarCAM']}",
        "--kind=external/camera_coefficients",
        "--site=CTAO-North",
        "--telescope=LSTN-02",
        "--night=2022-06-03",
        "--begin=2022-06-03T12:00:00",
        "--end=2022-06-04T12:00:00",
        "--override=made by nectarchain, verified there",
        "--override-date=2022-06-05",
    )
    for site in SEASONS:
        run(Export, folder, "--archive=first", f"--site={site}", f"--output=export-{site}")
        run(ImportProducts, folder, "--archive=second", f"--input=export-{site}")
    return [open_archive(folder / name) for name in ("first", "second")], files


@pytest.mark.parametrize(("site", "season"), [(k, s) for k, v in SEASONS.items() for s in v])
def test_reference_atmospheres(archives, site, season):
    both, files = archives
    for archive in both:
        kind = "atmosphere/reference_atmospheric_model"
        found = lookup(archive, kind, site, moment("2024-07-10T22:00:00"), season=season)
        assert sha256(product_path(archive, found.product_id)) == sha256(files[site, season])
        table = archive.butler.get(archive.butler.get_dataset(found.product_id))
        assert table["altitude"].unit == "km"


def test_coefficients_of_a_nectarcam(archives):
    """No MST has a place in config/sites yet: they stand at the place of an LST."""
    both, files = archives
    for archive in both:
        found = lookup(
            archive,
            "external/camera_coefficients",
            "CTAO-North",
            moment("2022-06-03T22:00:00"),
            telescope="LSTN-02",
        )
        path = product_path(archive, found.product_id)
        assert sha256(path) == sha256(files["NectarCAM"])
