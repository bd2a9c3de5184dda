"""Worker of aerosols.py in the peer's environment: decisions of its clear-night Tool."""

import json
import sys
import warnings

import numpy as np
from astropy.table import QTable
from calibpipe.tools.clear_night_atmosphere import ClearNightAnalysis


def main() -> None:
    with np.load(sys.argv[1]) as nights:
        error = float(nights["error"])
        print(json.dumps({name: called_clear(nights[name], error) for name in nights["kinds"]}))


def called_clear(vaod: np.ndarray, error: float) -> float:
    """What start and finish of its Tool say, without reading and writing files."""
    tool = ClearNightAnalysis()
    tool._save_monitoring_data = lambda: None
    decisions = []
    for night in vaod:
        tool.fram_processed_data = QTable(
            {"VAOD": night, "VAOD_uncertainty": np.full(len(night), error)}
        )
        tool.night_assessment = "Undefined"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the root of a negative excess variance
            tool.start()
        tool.finish()
        decisions.append(tool.night_assessment == "Clear Night")
    return float(np.mean(decisions))


if __name__ == "__main__":
    main()
