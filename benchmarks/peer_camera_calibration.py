"""Worker of camera_calibration.py in the peer's environment: its coefficient Tool on a file."""

import json
import sys
import time

from calibpipe.tools.camera_calibrator import CameraCalibratorTool


def main() -> None:
    tool = CameraCalibratorTool()
    tool.initialize(["--input_url", sys.argv[1], "--quiet"])
    begin = time.process_time()
    tool.setup()
    set_up = time.process_time()
    tool.start()
    calculated = time.process_time()
    tool.finish()
    end = time.process_time()
    print(json.dumps({"all": end - begin, "calculation": calculated - set_up}))


if __name__ == "__main__":
    main()
