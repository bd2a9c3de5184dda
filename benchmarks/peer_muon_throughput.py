"""Worker of muon_throughput.py in the peer's environment: one of its Tools on a file."""

import json
import sys
import time

from calibpipe.tools.muon_psf_calculator import CalculatePSFWithMuons
from calibpipe.tools.muon_throughput_calculator import CalculateThroughputWithMuons

TOOLS = {"throughput": CalculateThroughputWithMuons, "psf": CalculatePSFWithMuons}
TURNS = 3


def main() -> None:
    name, path, *options = sys.argv[1:]
    found = []
    for _ in range(TURNS):
        tool = TOOLS[name]()
        tool.initialize(["--input", path, *options, "--quiet"])
        begin = time.process_time()
        tool.setup()
        tool.start()
        tool.finish()
        found.append(time.process_time() - begin)
    print(json.dumps({"cpu": found[-1]}))


if __name__ == "__main__":
    main()
