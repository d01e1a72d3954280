"""Writes what is found in a range as CSV: python scan_to_csv.py 10.0.0.0/24 > miners.csv"""

import csv
import sys

from headframe.sync import discover

COLUMNS = ["address", "driver", "make", "model", "firmware", "mac"]


def main(address_range: str, *, simulated: bool = False) -> None:
    out = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore")
    out.writeheader()
    for found in discover(address_range, ports={"simulated": simulated}):
        if found["event"] == "device":
            out.writerow(found)
        elif found["event"] == "summary":
            report = found["report"]
            print(f"{report['devices']} of {report['total']} addresses", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], simulated="--simulated" in sys.argv)
