"""
The native part.
"""

from typing import Any, Final, SupportsIndex, final

__all__ = ["VERSION", "Call", "NativeDevice", "NativeDrivers", "NativeReadings", "NativeScan", "NativeSimulator", "NativeSite", "NativeWatch", "Reading", "Snapshot", "Table", "cases", "cases_left_out", "end", "restore_site", "run_case", "set_up", "simulate_history", "start_scan", "start_simulator"]

VERSION: Final[str]
"""
The version of the library.
"""

@final
class Call:
    """
    A call, which is done already where it could be answered from memory. It is awaited, or waited for, once.
    """
    def __await__(self, /) -> Any: ...
    def __iter__(self, /) -> Call: ...
    def __next__(self, /) -> Any: ...
    def wait(self, /) -> Any:
        """
        Waits for it in this thread. A signal, such as Ctrl-C, ends the wait and the call.
        """

@final
class NativeDevice:
    """
    An opened device.
    """
    def capability(self, /) -> Any:
        """
        What it can do.
        """
    def close(self, /) -> Call:
        """
        Ends its connections.
        """
    def execute(self, /, command: str, within_ms: SupportsIndex) -> Call:
        """
        Carries out a write, JSON `{name, args}`, and gives what is known of it.
        """
    def snapshot(self, /, within_ms: SupportsIndex) -> Call:
        """
        What it says now.
        """

@final
class NativeDrivers:
    """
    The drivers of a program: those of the library, and its own.
    """
    def __new__(cls, /) -> NativeDrivers:
        """
        Those of the library.
        """
    def add(self, /, about: str, ask: Any) -> None:
        """
        Adds one, which is JSON `{id, kind, make, docs, probes}`: `ask(op, thing, json, answer)` is asked `open`, `snapshot`,
        `observe`, `execute` and `close`, from any thread, and calls `answer` with JSON, which says whether anybody waits for
        it. It gives what takes the question back.
        """
    def open_device(self, /, driver: str, opts: str) -> Call:
        """
        Opens a device with a driver and its options, JSON.
        """
    def open_site(self, /, folder: str, conf: str, how: str) -> Call:
        """
        Opens the site in a folder, makes one, or does whichever is needed: `how` is `open`, `create` or `openOrCreate`.
        """

@final
class NativeReadings:
    """
    A reader of readings.
    """
    def close(self, /) -> Call:
        """
        Ends it; whoever waits for the next is told of the end.
        """
    def ready(self, /) -> Call:
        """
        Waits for a reading; False at the end. Nothing is taken: a wait that is given up loses nothing.
        """
    def take(self, /, most: SupportsIndex) -> list[Reading] | None:
        """
        All readings that are there, `most` at a time; None when there is none, or somebody else waits.
        """

@final
class NativeScan:
    """
    A scan under way.
    """
    def ready(self, /) -> Call:
        """
        Waits for an event; False after the summary. Nothing is taken: a wait that is given up loses nothing.
        """
    def stop(self, /) -> None:
        """
        Ends it early: the summary comes next.
        """
    def take(self, /) -> Any | None:
        """
        The event that is there: a device, an unknown host, or at last the summary; None when there is none.
        """

@final
class NativeSimulator:
    """
    Simulated devices on real sockets.
    """
    def clear(self, /, index: SupportsIndex) -> None:
        """
        Ends what a device does wrong.
        """
    def close(self, /) -> Call:
        """
        Closes all ports.
        """
    def devices(self, /) -> Any:
        """
        All devices.
        """
    def fault(self, /, index: SupportsIndex, fault: str) -> None:
        """
        Lets a device do something wrong, JSON.
        """
    def truth(self, /, index: SupportsIndex) -> Any:
        """
        What is really so with a device, and what it was told.
        """

@final
class NativeSite:
    """
    A site.
    """
    def action(self, /, id: str) -> Call:
        """
        One action with its targets, and what became of each; None when there is none.
        """
    def backup(self, /, folder: str) -> Call:
        """
        Copies the site into an empty folder while it runs; gives what was copied.
        """
    def call(self, /, who: str, method: str, params: str) -> Call:
        """
        Calls one of MiningOS's methods; who and parameters are JSON.
        """
    def change(self, /, id: str, how: str, why: str | None, by: str) -> Call:
        """
        Cancels an action, takes a vote back, or pauses, resumes or stops what runs. Gives the action.
        """
    def close(self, /, within_ms: SupportsIndex) -> Call:
        """
        Ends it in order; gives what became of its work, or None when that was done before.
        """
    def counts(self, /) -> Any:
        """
        How the collectors do.
        """
    def find(self, /, range: str, options: str, by: str) -> Call:
        """
        Looks at a range of addresses and registers what is there; gives a report.
        """
    def halt(self, /, why: str | None, by: str) -> Call:
        """
        Stops all writes, at once and without a vote.
        """
    def id(self, /) -> str:
        """
        Its id.
        """
    def list(self, /, query: str) -> Call:
        """
        Lists things by a query, JSON.
        """
    def preview(self, /, draft: str, by: str) -> Call:
        """
        What a push would do; nothing is stored.
        """
    def push(self, /, draft: str, by: str) -> Call:
        """
        Proposes a write, JSON; gives its id and the errors.
        """
    def readings(self, /, query: str) -> Call:
        """
        Readings of things as a table, by a question in JSON.
        """
    def register(self, /, rack: str, things: str, by: str) -> Call:
        """
        Registers things in a rack, JSON; gives for each its record or the error.
        """
    def series(self, /, query: str) -> Call:
        """
        One number of things over time, by a question in JSON.
        """
    def series_table(self, /, query: str) -> Call:
        """
        The same as a table.
        """
    def subscribe(self, /, capacity: SupportsIndex) -> NativeReadings:
        """
        All readings from now on; a reader that is slower is told how many it missed.
        """
    def vote(self, /, id: str, ballot: str, by: str) -> Call:
        """
        Votes on an action; gives it.
        """
    def watch(self, /) -> NativeWatch:
        """
        What becomes of all actions from now on.
        """

@final
class NativeWatch:
    """
    A reader of what becomes of actions.
    """
    def close(self, /) -> Call:
        """
        Ends it; whoever waits for the next is told of the end.
        """
    def ready(self, /) -> Call:
        """
        Waits for a change; False at the end. Nothing is taken: a wait that is given up loses nothing.
        """
    def take(self, /) -> Any | None:
        """
        The change that is there; None when there is none, or somebody else waits.
        """

@final
class Reading:
    """
    What one poll of a thing brought. Its parts are made when they are asked for.
    """
    def __repr__(self, /) -> str: ...
    def as_dict(self, /) -> Any:
        """
        All of it as a dict.
        """
    def as_json(self, /) -> str:
        """
        All of it as JSON.
        """
    @property
    def error(self, /) -> Any | None:
        """
        Why the poll failed; None when it did not.
        """
    @property
    def link(self, /) -> str:
        """
        How the thing stood when the poll ended: online, error, offline, stale or never.
        """
    @property
    def missed(self, /) -> int:
        """
        How many readings this reader missed right before it, because it was too slow.
        """
    @property
    def seq(self, /) -> int:
        """
        Its number among those of the thing.
        """
    @property
    def snapshot(self, /) -> Snapshot:
        """
        The snapshot, under MiningOS's keys.
        """
    @property
    def thing(self, /) -> str:
        """
        Whose it is.
        """
    @property
    def took_ms(self, /) -> int:
        """
        How long the poll took, ms.
        """
    @property
    def ts(self, /) -> int:
        """
        When the poll ended, ms since 1970.
        """

@final
class Snapshot:
    """
    What a thing said at one time. What is not known is absent, and `missing` says why.
    """
    def __contains__(self, path: Any, /) -> bool: ...
    def __getitem__(self, path: str, /) -> Any: ...
    def __repr__(self, /) -> str: ...
    def as_dict(self, /) -> Any:
        """
        All of it as a dict.
        """
    def as_json(self, /) -> str:
        """
        All of it as JSON.
        """
    def get(self, /, path: str, default: Any | None = None) -> Any | None:
        """
        What stands at a path such as `stats.power_w` or `stats.fans.0.rpm`; the default where nothing does.
        """

@final
class Table:
    """
    A table of what things said. `pyarrow.table`, `polars.DataFrame` and `pandas.DataFrame.from_arrow` read it by Arrow's PyCapsule
    interface, and share its buffers.
    """
    def __arrow_c_stream__(self, /, requested_schema: "object | None" = None) -> "object":
        """
        Arrow's stream of its batches, as often as it is asked for.
        """
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    @property
    def columns(self, /) -> list[str]:
        """
        Names of the columns.
        """

def cases() -> list[str]:
    """
    The names of the cases.
    """

def cases_left_out() -> Any:
    """
    The cases that are left out, and why.
    """

def end() -> None:
    """
    Ends all sites in order, and lets nobody be told anything any more: for the end of the interpreter.
    """

def restore_site(from_folder: str, to_folder: str) -> Call:
    """
    Writes a backup into an empty folder, after all of it was verified; gives what was written.
    """

def run_case(drivers: NativeDrivers, driver: str, case: str, about: str, ask: Any) -> Call:
    """
    Runs a case with one of the drivers and a rig, of which `about` is JSON and `ask` is asked the rest, as a driver is. Gives
    why it failed; None if it did not.
    """

def set_up() -> None:
    """
    Remembers the process; to be called once, when the package is loaded.
    """

def simulate_history(folder: str, conf: str) -> Call:
    """
    Makes a site in an empty folder whose past is simulated, as JSON says; gives what is in it.
    """

def start_scan(range: str, options: str, drivers: NativeDrivers | None = None) -> Call:
    """
    Begins to look at a range of addresses, for the devices of the library's drivers or of these.
    """

def start_simulator(conf: str) -> Call:
    """
    Starts devices, as JSON says.
    """
