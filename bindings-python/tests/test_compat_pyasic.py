"""What pyasic 0.79 gives, made of what the drivers read."""

from __future__ import annotations

import csv
import ipaddress
import json
import re
import subprocess
import sys
import unittest
from collections.abc import Callable
from typing import Any

from headframe import Invalid
from headframe.compat import pyasic
from headframe.compat.pyasic import _data, _names, _read
from headframe.compat.pyasic.data import DeviceInfo, Fan, HashBoard, HashRate, HashUnit, MinerError, PoolUrl

EXAMPLE = json.loads("""
{"ip": "10.0.0.1", "device_info": null, "serial_number": null, "psu_serial_number": null, "mac": "AA:BB:CC:DD:EE:FF", "api_ver": "2",
"fw_ver": "1", "hostname": "h", "sticker_hashrate": null,
"expected_hashrate": {"unit": {"value": 1000000000000, "suffix": "TH/s"}, "rate": 200.0}, "expected_hashboards": 3,
"expected_chips": 330, "expected_fans": 2, "env_temp": 25.0, "wattage": 3400, "voltage": null, "fans": [{"speed": 4200}],
"fan_psu": null, "hashboards": [{"slot": 0, "hashrate": {"unit": {"value": 1000000000000, "suffix": "TH/s"}, "rate": 66.9},
"inlet_temp": null, "outlet_temp": null, "temp": 60.0, "chip_temp": 70.0, "chips": 110, "expected_chips": 110, "serial_number": "x",
"missing": false, "tuned": null, "active": true, "voltage": 13.6}], "config": null, "fault_light": false, "errors": [],
"is_mining": true, "uptime": 7200, "pools": [], "hashrate": {"unit": {"value": 1, "suffix": "H/s"}, "rate": 66900000000000.01},
"wattage_limit": null, "total_chips": 110, "nominal": false, "percent_expected_chips": 33, "percent_expected_hashrate": 33,
"percent_expected_wattage": null, "temperature_avg": 60, "efficiency": 0, "efficiency_fract": 0.0,
"datetime": "2026-11-23T08:34:51.154192+00:00", "timestamp": 1795422891, "make": "", "model": "", "firmware": "", "algo": ""}
""")
"""What pyasic itself writes. Its sum of hashrates has another unit than its parts, from which its efficiency is 0."""


def example(**members: Any) -> pyasic.MinerData:
    board = EXAMPLE["hashboards"][0]
    own: dict[str, Any] = {
        name: EXAMPLE[name]
        for name in ("ip", "mac", "api_ver", "fw_ver", "hostname", "expected_hashboards", "expected_chips", "expected_fans")
    }
    own |= {name: EXAMPLE[name] for name in ("env_temp", "wattage", "fault_light", "is_mining", "uptime", "datetime")}
    own["expected_hashrate"] = HashRate(200.0)
    own["fans"] = [Fan(4200)]
    own["hashboards"] = [HashBoard(**(board | {"hashrate": HashRate(board["hashrate"]["rate"])}))]
    return pyasic.MinerData(**{**own, **members})


class Data(unittest.TestCase):
    def test_keys_are_pyasics_in_its_order(self) -> None:
        told = example().as_dict()
        self.assertEqual(list(told), list(EXAMPLE))
        self.assertEqual(list(told["hashboards"][0]), list(EXAMPLE["hashboards"][0]))
        self.assertEqual(list(pyasic.MinerData("10.0.0.1").as_dict()), list(EXAMPLE))

    def test_values_are_pyasics_but_for_its_slips(self) -> None:
        told = example().as_dict()
        slips = {
            "hashrate": {"unit": {"value": 10**12, "suffix": "TH/s"}, "rate": 66.9},
            "efficiency": 51,
            "efficiency_fract": 50.82,
            "make": None,
            "model": None,
            "firmware": None,
            "algo": None,
        }
        self.assertEqual(told, {**EXAMPLE, **slips})
        self.assertEqual(json.loads(example().as_json()), told)

    def test_nothing_known_is_nothing_told(self) -> None:
        told = pyasic.MinerData("10.0.0.1").as_dict()
        known = {name: value for name, value in told.items() if value not in (None, [])}
        self.assertEqual(set(known), {"ip", "datetime", "timestamp"})
        self.assertEqual(pyasic.MinerData("10.0.0.1").as_influxdb(), "")

    def test_computed_members_rest_on_what_is_known(self) -> None:
        board = HashBoard(0, HashRate(60.0), temp=60.0, chips=110)
        unknown = HashBoard(1)
        data = example(hashboards=[board, unknown])
        self.assertEqual((data.total_chips, data.nominal, data.percent_expected_chips), (110, None, None))
        self.assertEqual((data.hashrate, data.percent_expected_hashrate, data.efficiency), (None, None, None))
        self.assertEqual(data.temperature_avg, 60)
        missing = example(hashboards=[board, HashBoard(1, missing=True)])
        self.assertEqual((missing.hashrate, missing.percent_expected_chips), (HashRate(60.0), 33))
        standing = example(hashrate=HashRate(0.0))
        self.assertEqual((standing.percent_expected_hashrate, standing.efficiency), (0, None))
        self.assertEqual(example(wattage_limit=3000).percent_expected_wattage, 113)

    def test_members_are_reached_by_name_too(self) -> None:
        data = example()
        self.assertEqual((data["wattage"], data.get("voltage", 7), data.get("no", 8)), (3400, 7, 8))
        self.assertEqual(dict(data)["hostname"], "h")
        self.assertEqual((data.hashboards[0]["temp"], data.hashboards[0].get("tuned", 1)), (60.0, 1))
        with self.assertRaises(KeyError):
            data["no"]

    def test_csv_is_one_line_of_all_keys(self) -> None:
        line = example(errors=[MinerError(110, "fan, slow"), MinerError(111)]).as_csv()
        (row,) = csv.reader([line])
        told = dict(zip(EXAMPLE, row, strict=True))
        self.assertEqual((told["ip"], told["wattage"], told["voltage"]), ("10.0.0.1", "3400", "None"))
        self.assertEqual(told["errors"], "fan, slow; 111")

    def test_influx_has_tags_and_known_numbers(self) -> None:
        info = DeviceInfo("WhatsMiner", "M50S VH50", "Stock", "SHA256")
        line = example(device_info=info, hostname="a b,c=d\n\\").as_influxdb()
        head, body, at = re.split(r"(?<!\\) ", line)
        self.assertEqual(
            head, r"miner_data,ip=10.0.0.1,mac=AA:BB:CC:DD:EE:FF,model=M50S\ VH50,hostname=a\ b\,c\=d__"
        )
        self.assertEqual(at, "1795422891000000000")
        fields = dict(one.split("=") for one in body.split(","))
        self.assertEqual((fields["wattage"], fields["hashrate"], fields["is_mining"]), ("3400", "66.9", "true"))
        self.assertEqual((fields["hashboards.0.chips"], fields["fans.0.speed"]), ("110", "4200"))
        self.assertNotIn("None", line)
        self.assertFalse({"voltage", "wattage_limit", "timestamp", "fw_ver"} & set(fields))
        self.assertTrue(example().as_influxdb("m", "_").startswith("m,ip="))

    def test_hashrates_count(self) -> None:
        rate = HashRate(66.9)
        self.assertEqual((float(rate), int(rate), str(rate), f"{rate:.0f}"), (66.9, 66, "66.9 TH/s", "67"))
        self.assertEqual(rate.into(HashUnit.GH), HashRate(66_900.0, HashUnit.GH))
        self.assertEqual((rate + 1 > rate, sum([rate, rate], HashRate(0.0)) == 133.8, rate / rate), (True, True, 1.0))
        self.assertEqual(str(round(HashRate(1234.56, HashUnit.GH).auto_unit(), 2)), "1.23 TH/s")
        self.assertNotEqual(rate, "66.9")
        with self.assertRaises(TypeError):
            rate + "x"  # type: ignore[operator]

    def test_pools_have_parts(self) -> None:
        for written, want in (
            ("stratum+tcp://pool.example:3333", PoolUrl("stratum+tcp", "pool.example", 3333)),
            ("pool.example:3333", PoolUrl(None, "pool.example", 3333)),
            ("stratum2+tcp://pool.example:3336/9auq", PoolUrl("stratum2+tcp", "pool.example", 3336, "9auq")),
            ("pool.example", PoolUrl(None, "pool.example")),
            ("http://[::1]:80", PoolUrl("http", "[::1]", 80)),
            ("pool:x", PoolUrl(None, "pool:x")),
        ):
            self.assertEqual((PoolUrl.of(written), str(want)), (want, written))


class Snapshots(unittest.TestCase):
    def read(self, driver: str, **told: Any) -> pyasic.MinerData:
        return _read.data(driver, "10.0.0.7", True, told)

    def test_an_empty_snapshot_tells_nothing(self) -> None:
        for driver in ("antminer", "whatsminer", "other"):
            data = self.read(driver)
            self.assertEqual((data.is_mining, data.hashrate, data.total_chips, data.nominal), (None,) * 4)
            self.assertEqual((data.hashboards, data.fans, data.errors, data.model), ([], [], [], None))

    def test_a_board_that_is_not_listed_is_missing_unless_none_is(self) -> None:
        info = {"boards_expected": 3, "fans_expected": 2, "model": "S19"}
        boards = [{"slot": slot, "chips": 76, "chips_expected": 76, "hashrate_mhs": 3e7} for slot in (0, 2)]
        data = self.read("antminer", info=info, stats={"boards": boards, "fans": [{"name": "0", "rpm": 4000}]})
        self.assertEqual([(b.slot, b.missing) for b in data.hashboards], [(0, False), (1, True), (2, False)])
        self.assertEqual((data.total_chips, data.expected_chips, data.nominal), (152, 228, False))
        self.assertEqual([fan.speed for fan in data.fans], [4000, None])
        self.assertEqual(data.hashrate, HashRate(60.0))
        asleep = self.read("antminer", info=info, stats={"is_mining": False})
        self.assertEqual([b.missing for b in asleep.hashboards], [None] * 3)
        self.assertEqual((asleep.nominal, asleep.percent_expected_chips, asleep.hashrate), (None, None, None))
        from_one = [{**board, "slot": board["slot"] + 1} for board in boards]
        data = self.read("antminer", info=info, stats={"boards": from_one})
        self.assertEqual([(b.slot, b.missing) for b in data.hashboards], [(0, True), (1, False), (3, False)])

    def test_what_is_called_ambient_in_an_antminer_is_a_board(self) -> None:
        stats = {"temperature_c": {"ambient": 48.0}}
        self.assertEqual(self.read("whatsminer", stats=stats).env_temp, 48.0)
        self.assertIsNone(self.read("antminer", stats=stats).env_temp)

    def test_errors_and_pools(self) -> None:
        errors = [{"code": "110", "text": "slow"}, {"code": "J3:2"}, {"code": ["1", "2"]}, {"name": "dead"}]
        pools = [{"pool": "stratum+tcp://a:1", "accepted": 98, "rejected": 1, "stale": 1}, {"pool": "b:2", "accepted": 1}]
        config = {"pool_config": [{"url": "stratum+tcp://a:1", "username": "x.y"}, {"url": "c:3", "username": "z"}]}
        data = self.read("whatsminer", stats={"errors": errors, "pool_status": pools}, config=config)
        self.assertEqual([error.error_code for error in data.errors], [110, "J3:2", "1,2", None])
        self.assertEqual([str(error) for error in data.errors], ["slow", "J3:2", "1,2", "dead"])
        self.assertIsInstance(data.errors[0], pyasic.WhatsminerError)
        first, second = data.pools
        self.assertEqual((str(first.url), first.user, first.pool_rejected_percent), ("stratum+tcp://a:1", "x.y", 1.0))
        self.assertEqual((second.user, second.pool_rejected_percent), (None, None))
        json.dumps(data.as_dict())

    def test_models_are_written_as_pyasic_does(self) -> None:
        for driver, vendor, want in (
            ("whatsminer", "M30S+_VH67", "M30S+ VH60"),
            ("whatsminer", "M50SVH50", "M50S VH50"),
            ("whatsminer", "M99", "M99"),
            ("antminer", "Antminer S19j Pro (88)", "S19j Pro"),
            ("antminer", "ANTMINER S21+ Hyd.", "S21+ Hydro"),
            ("antminer", None, None),
        ):
            self.assertEqual(_names.model(driver, vendor), want)
        algos = [_names.algo("antminer", name) for name in ("S19", "L7", "KS5", "D9", "DR5", "?", None)]
        self.assertEqual(algos, ["SHA256", "Scrypt", "KHeavyHash", "X11", "Blake256", None, None])

    def test_members_that_are_not_asked_for_are_left_out(self) -> None:
        keys = _data.wanted([pyasic.DataOptions.WATTAGE, "fans"], None)
        data = example().only(keys)
        self.assertEqual((data.wattage, data.fans, data.hostname, data.expected_chips), (3400, [Fan(4200)], None, 330))
        left = example().only(_data.wanted(None, ["wattage"]))
        self.assertEqual((left.wattage, left.hostname), (None, "h"))
        for wrong in (["no"], "wattage", 7):
            with self.assertRaises(Invalid):
                _data.wanted(wrong, None)  # type: ignore[arg-type]


class Networks(unittest.TestCase):
    def test_forms(self) -> None:
        network = pyasic.MinerNetwork
        for told, count, first, last in (
            (network.from_subnet("10.0.0.50/24"), 254, "10.0.0.1", "10.0.0.254"),
            (network.from_subnet("10.0.0.7/32"), 1, "10.0.0.7", "10.0.0.7"),
            (network.from_list(["10.0.0.9", "10.0.0.7", "10.0.0.9"]), 2, "10.0.0.9", "10.0.0.7"),
            (network.from_octets("10", "0", "0-1", "1-254"), 508, "10.0.0.1", "10.0.1.254"),
            (network.from_address("10.0.0.1-3"), 3, "10.0.0.1", "10.0.0.3"),
            (network([ipaddress.IPv4Address("10.0.0.7")]), 1, "10.0.0.7", "10.0.0.7"),
            (network.from_list([]), 0, None, None),
        ):
            hosts = [str(host) for host in told]
            self.assertEqual((len(told), len(hosts), len(told.hosts)), (count,) * 3)
            self.assertEqual((hosts[:1], hosts[-1:]), ([first] if first else [], [last] if last else []))
        self.assertIn("10.0.0.7", network.from_subnet("10.0.0.0/24"))
        self.assertNotIn("10.0.0.0", network.from_subnet("10.0.0.0/24"))

    def test_what_is_none_is_refused(self) -> None:
        network: Any = pyasic.MinerNetwork
        refused: tuple[Callable[[], Any], ...] = (
            lambda: network.from_subnet("10.0.0.0/99"),
            lambda: network.from_subnet("fd00::/120"),
            lambda: network.from_subnet("0.0.0.0/0"),
            lambda: network.from_subnet(7),
            lambda: network.from_list("10.0.0.1"),
            lambda: network.from_list(["10.0.0"]),
            lambda: network.from_list([None]),
            lambda: network.from_list(7),
            lambda: network.from_octets("10", "0", "0", "9-1"),
            lambda: network.from_octets("10", "0", "0", "256"),
            lambda: network.from_octets("10", "0-255", "0-255", "0-255"),
            lambda: network.from_octets("10", "0", "0", None),
            lambda: network.from_octets("10", "0", "0", "1-2-3"),
            lambda: network.from_address("10.0.0"),
            lambda: network.from_address(None),
            lambda: network.from_list(["10.0.0.1"], ports=[1]),
        )
        for make in refused:
            with self.assertRaises(Invalid):
                make()

    def test_settings_are_kept_and_checked(self) -> None:
        settings = pyasic.settings
        self.assertEqual(settings.get("default_whatsminer_rpc_password"), "admin")
        self.assertEqual(settings.get("no such", 7), 7)
        settings.update("default_bosminer_web_password", "x")
        self.assertEqual(settings.get("default_bosminer_web_password"), "x")
        for key, value in (
            ("default_antminer_web_password", 7),
            ("ports", 7),
            ("ports", {"rpc": float("nan")}),
            ("api_function_timeout", 0),
            ("api_function_timeout", float("nan")),
            ("api_function_timeout", 10**400),
            ("write_timeout", None),
            ("get_data_retries", -1),
            ("network_scan_semaphore", 0),
            (7, 7),
        ):
            with self.assertRaises(Invalid):
                settings.update(key, value)  # type: ignore[arg-type]

    def test_the_package_can_stand_in_for_pyasic(self) -> None:
        program = """
import sys
from headframe.compat import pyasic as ours
sys.modules["pyasic"] = ours
import pyasic
from pyasic import MinerNetwork, get_miner, settings
from pyasic.data import MinerData
from pyasic.errors import APIError
from pyasic.miners import AnyMiner, get_miner as again
from pyasic.miners.factory import MinerFactory
from pyasic.miners.listener import MinerListener
from pyasic.network import MinerNetwork as Network
import pyasic.settings as twice
twice.update("default_antminer_web_password", "x")
assert ours._settings.get("default_antminer_web_password") == settings.get("default_antminer_web_password") == "x"
assert Network is ours.MinerNetwork is MinerNetwork and again is get_miner and MinerData is ours.MinerData
"""
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
