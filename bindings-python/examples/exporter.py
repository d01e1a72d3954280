"""What a site's miners do, for Prometheus: python exporter.py FOLDER PORT"""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from headframe.sync import Site


def page(site: Site) -> str:
    lines = ["# TYPE headframe_miner_power_watts gauge"]
    for thing in site.list({"status": True, "fields": {"id": 1, "last.snap.stats.power_w": 1}, "limit": 1_000})["items"]:
        watts = thing.get("last", {}).get("snap", {}).get("stats", {}).get("power_w")
        if watts is not None:
            lines.append(f'headframe_miner_power_watts{{thing="{thing["id"]}"}} {watts}')
    return "\n".join(lines) + "\n"


def main(folder: str, port: str) -> None:
    site = Site.open(folder, {"racks": [{"type": "miner-wm-m50s", "name": "hall", "driver": "whatsminer"}]})

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page(site).encode())

    HTTPServer(("127.0.0.1", int(port)), Exporter).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
