//! The JSON of the CGI reads, which `new_api` on port 4028 gives too.

use serde::Serialize;

use super::{
    options::PowerKey,
    reading::{BoardReading, PoolReading, Reading, StatusReading, cents},
};

/// Which body a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Summary,
    Stats,
    Pools,
}

impl Read {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "summary" => Some(Self::Summary),
            "stats" => Some(Self::Stats),
            "pools" => Some(Self::Pools),
            _ => None,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Stats => "stats",
            Self::Pools => "pools",
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "STATUS")]
    status: Outcome,
    #[serde(rename = "INFO")]
    info: Info<'a>,
    #[serde(rename = "SUMMARY", skip_serializing_if = "Option::is_none")]
    summary: Option<Vec<Summary<'a>>>,
    #[serde(rename = "STATS", skip_serializing_if = "Option::is_none")]
    stats: Option<Vec<Stats<'a>>>,
    #[serde(rename = "POOLS", skip_serializing_if = "Option::is_none")]
    pools: Option<Vec<PoolRow<'a>>>,
}

#[derive(Serialize)]
struct Outcome {
    #[serde(rename = "STATUS")]
    status: &'static str,
    when: i64,
    #[serde(rename = "Msg")]
    message: &'static str,
    api_version: &'static str,
}

#[derive(Serialize)]
struct Info<'a> {
    miner_version: &'static str,
    #[serde(rename = "CompileTime")]
    built: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
struct Summary<'a> {
    elapsed: u64,
    rate_5s: f64,
    rate_30m: f64,
    rate_avg: f64,
    rate_ideal: f64,
    rate_unit: &'static str,
    hw_all: u64,
    bestshare: u64,
    status: Vec<StatusRow<'a>>,
}

#[derive(Serialize)]
struct StatusRow<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    code: u32,
    msg: &'a str,
}

impl<'a> StatusRow<'a> {
    fn new(row: &'a StatusReading) -> Self {
        Self { kind: row.kind, status: row.level, code: row.code, msg: &row.message }
    }
}

#[derive(Serialize)]
struct Stats<'a> {
    elapsed: u64,
    rate_5s: f64,
    rate_30m: f64,
    rate_avg: f64,
    rate_ideal: f64,
    rate_unit: &'static str,
    chain_num: usize,
    fan_num: usize,
    fan: &'a [i64],
    hwp_total: f64,
    #[serde(rename = "miner-mode")]
    mode: u8,
    #[serde(rename = "freq-level")]
    freq_level: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    watt: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    power: Option<i64>,
    chain: Vec<Chain<'a>>,
}

#[derive(Serialize)]
struct Chain<'a> {
    index: u8,
    freq_avg: f64,
    rate_ideal: f64,
    rate_real: f64,
    asic_num: u32,
    asic: String,
    temp_pic: [f64; 4],
    temp_pcb: [f64; 4],
    temp_chip: [f64; 4],
    hw: u64,
    eeprom_loaded: bool,
    sn: &'a str,
    hwp: f64,
    tpl: [u8; 0],
}

impl<'a> Chain<'a> {
    fn new(reading: &Reading, board: &'a BoardReading) -> Self {
        Self {
            index: board.slot,
            freq_avg: cents(board.mhz),
            rate_ideal: cents(board.ideal),
            rate_real: cents(board.rate),
            asic_num: board.alive,
            asic: reading.chip_map(board, false),
            temp_pic: board.pic,
            temp_pcb: board.pcb,
            temp_chip: board.chip,
            hw: board.errors,
            eeprom_loaded: true,
            sn: &board.serial,
            hwp: 0.0,
            tpl: [],
        }
    }
}

#[derive(Serialize)]
struct PoolRow<'a> {
    index: usize,
    url: &'a str,
    user: &'a str,
    status: &'static str,
    priority: usize,
    getworks: u64,
    accepted: u64,
    rejected: u64,
    discarded: u64,
    stale: u64,
    diff: String,
    diff1: u64,
    diffa: u64,
    diffr: u64,
    diffs: u64,
    lsdiff: u64,
    lstime: &'static str,
}

impl<'a> PoolRow<'a> {
    fn new(index: usize, pool: &'a PoolReading, difficulty: u64) -> Self {
        Self {
            index,
            url: &pool.url,
            user: &pool.user,
            status: pool.status,
            priority: index,
            getworks: pool.accepted + pool.rejected,
            accepted: pool.accepted,
            rejected: pool.rejected,
            discarded: 0,
            stale: pool.stale,
            diff: if pool.active { format!("{}K", difficulty / 1000) } else { String::new() },
            diff1: 0,
            diffa: pool.accepted * difficulty,
            diffr: pool.rejected * difficulty,
            diffs: pool.stale * difficulty,
            lsdiff: if pool.active { difficulty } else { 0 },
            lstime: if pool.active { "0:00:05" } else { "0" },
        }
    }
}

fn summary(reading: &Reading) -> Summary<'_> {
    Summary {
        elapsed: reading.elapsed,
        rate_5s: cents(reading.rates.now),
        rate_30m: cents(reading.rates.half_hour),
        rate_avg: cents(reading.rates.average),
        rate_ideal: cents(reading.rates.ideal),
        rate_unit: "GH/s",
        hw_all: reading.errors(),
        bestshare: reading.best_share,
        status: reading.status.iter().map(StatusRow::new).collect(),
    }
}

fn stats(reading: &Reading, power: PowerKey) -> Stats<'_> {
    let watts = Some(reading.watts);
    Stats {
        elapsed: reading.elapsed,
        rate_5s: cents(reading.rates.now),
        rate_30m: cents(reading.rates.half_hour),
        rate_avg: cents(reading.rates.average),
        rate_ideal: cents(reading.rates.ideal),
        rate_unit: "GH/s",
        chain_num: reading.boards.len(),
        fan_num: reading.fans.len(),
        fan: &reading.fans,
        hwp_total: 0.0,
        mode: reading.mode,
        freq_level: reading.freq_level,
        watt: watts.filter(|_| power == PowerKey::Watt),
        power: watts.filter(|_| power == PowerKey::Power),
        chain: reading.boards.iter().map(|b| Chain::new(reading, b)).collect(),
    }
}

/// The body of one read; `empty` leaves its list empty, as during sleep or a restart.
pub(super) fn render(read: Read, reading: &Reading, power: PowerKey, empty: bool) -> Vec<u8> {
    let mut envelope = Envelope {
        status: Outcome { status: "S", when: reading.when, message: read.message(), api_version: "1.0.0" },
        info: Info { miner_version: "uart_trans.1.3", built: &reading.built, kind: &reading.kind },
        summary: None,
        stats: None,
        pools: None,
    };
    match read {
        Read::Summary if empty => envelope.summary = Some(Vec::new()),
        Read::Summary => envelope.summary = Some(vec![summary(reading)]),
        Read::Stats if empty => envelope.stats = Some(Vec::new()),
        Read::Stats => envelope.stats = Some(vec![stats(reading, power)]),
        Read::Pools if empty => envelope.pools = Some(Vec::new()),
        Read::Pools => {
            let rows = reading.pools.iter().enumerate().map(|(i, p)| PoolRow::new(i, p, reading.difficulty));
            envelope.pools = Some(rows.collect());
        }
    }
    // Plain data with text keys always serialises; an empty body would show as a device fault.
    serde_json::to_vec(&envelope).unwrap_or_default()
}
