use super::*;

#[tokio::test(start_paused = true)]
async fn every_address_has_one_of_three_outcomes() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    open_port(&cx, "10.0.0.1:4028", Port::Says(ACME, NOW), &log).await;
    open_port(&cx, "10.0.0.2:80", Port::Says(LOGIN, NOW), &log).await;
    open_port(&cx, "10.0.0.3:80", Port::Says(PRINTER, NOW), &log).await;
    open_port(&cx, "10.0.0.4:4028", Port::Closes, &log).await;
    net.silence("10.0.0.6".parse().unwrap());
    let mut stream = scan(&cx, "10.0.0.1-6").silent_events(true).start().unwrap();
    assert_eq!(stream.report(), None);
    let mut events = all(&mut stream).await;
    assert!(events.windows(2).all(|w| w[0].progress().done + 1 == w[1].progress().done));
    events.sort_by_key(ScanEvent::host);
    assert_eq!(events.len(), 6);
    for event in &events[..2] {
        let ScanEvent::Found(found) = event else { panic!("{event:?}") };
        assert_eq!((found.device.driver, found.ports), ("acme", Ports::default()));
        assert_eq!(found.device.opts.get("address"), Some(&found.host.to_string().into()));
    }
    let said = |event: &ScanEvent| match event {
        ScanEvent::Unknown { unknown, .. } => {
            unknown.answers.iter().map(ToString::to_string).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(said(&events[2]), ["port 80: GET /: HTTP 200, title 'Printer'"]);
    let closed = ["port 4028: devdetails: no usable reply", "port 4028: version: no usable reply"];
    assert_eq!(said(&events[3]), closed);
    assert!(matches!(events[4], ScanEvent::Silent { refused: true, .. }));
    assert!(matches!(events[5], ScanEvent::Silent { refused: false, .. }));
    let report = stream.report().unwrap();
    assert_eq!((report.devices, report.unknown, report.silent, report.refused), (2, 2, 2, 1));
    assert!(report.complete() && report.total == 6);
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.progress().fraction(), 1.0);
}

#[tokio::test(start_paused = true)]
async fn each_distinct_question_is_sent_once_and_without_a_password() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    open_port(&cx, "10.0.0.1:14028", Port::Says("{\"STATUS\":[]}\0", NOW), &log).await;
    open_port(&cx, "10.0.0.1:14080", Port::Says(LOGIN, NOW), &log).await;
    let report = scan(&cx, "10.0.0.1").ports(Ports::simulated()).start().unwrap().finish().await;
    assert_eq!(report.devices, 1);
    let log = log.lock().unwrap();
    let rpc = &log[&"10.0.0.1:14028".parse().unwrap()];
    assert_eq!(rpc[..], ["{\"command\":\"devdetails\"}", "{\"command\":\"version\"}"]);
    let web = &log[&"10.0.0.1:14080".parse().unwrap()];
    assert!(web.len() == 1 && web[0].starts_with("GET / HTTP/1.1\r\n"), "{web:?}");
    assert!(!web[0].to_ascii_lowercase().contains("authorization"));
    // The connection that found the port open carried the first question.
    assert_eq!(net.connections(), 3);
}

#[tokio::test(start_paused = true)]
async fn thousands_of_slow_addresses_lose_none() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    let range: AddressRange = "10.0.0.0-10.0.19.135".parse().unwrap();
    assert_eq!(range.len(), 5000);
    let mut want = Vec::new();
    for (i, ip) in range.iter().enumerate() {
        if i % 10 == 7 {
            let slow = Duration::from_millis(i as u64 * 7 % 4500);
            open_port(&cx, &format!("{ip}:4028"), Port::Says(ACME, slow), &log).await;
            want.push(ip);
        } else if i % 10 != 3 {
            net.silence(ip.into());
        }
    }
    let mut stream = Scan::new(Arc::new(registry()), cx.clone(), range).concurrency(512).start().unwrap();
    let events = all(&mut stream).await;
    assert_eq!(found(&events), want);
    let report = stream.report().unwrap();
    assert_eq!((report.devices, report.unknown, report.silent, report.refused), (500, 0, 4500, 500));
    assert!(report.complete() && report.took < Duration::from_secs(90), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_large_refusing_network_needs_no_task_per_address() {
    let cx = cx(MemNet::new());
    let mut stream = scan(&cx, "10.0.0.0/16").concurrency(64).start().unwrap();
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.report().unwrap().refused, 65_534);
}

#[tokio::test(start_paused = true)]
async fn progress_is_steady_though_most_addresses_are_silent() {
    let net = MemNet::new();
    let range: AddressRange = "10.0.0.0/24".parse().unwrap();
    range.iter().for_each(|ip| net.silence(ip.into()));
    let cx = cx(net);
    let stream = Scan::new(Arc::new(registry()), cx.clone(), range).concurrency(16).start().unwrap();
    let progress = stream.watch();
    let (mut last, mut stalled) = (0.0, 0);
    while progress.get().fraction() < 1.0 {
        wait(&cx, Duration::from_secs(3)).await;
        let now = progress.get().fraction();
        assert!(now >= last);
        stalled = if now > last { 0 } else { stalled + 1 };
        assert!(stalled < 2, "{:?}", progress.get());
        last = now;
    }
    let report = stream.finish().await;
    assert_eq!((report.silent, report.refused), (254, 0));
    assert_eq!(progress.get().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_nothing() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    let range: AddressRange = "10.0.0.1-10.0.2.100".parse().unwrap();
    for ip in range.iter() {
        open_port(&cx, &format!("{ip}:4028"), Port::Says(ACME, NOW), &log).await;
    }
    let total = range.len();
    let scan = Scan::new(Arc::new(registry()), cx.clone(), range.clone()).deadline(Duration::from_secs(60));
    let mut stream = scan.start().unwrap();
    // Longer than the deadline: what is known by then is still delivered.
    wait(&cx, Duration::from_secs(120)).await;
    let seen: Vec<Ipv4Addr> = found(&all(&mut stream).await);
    let report = stream.report().unwrap();
    assert_eq!(seen.len() as u64, report.devices);
    assert_eq!(report.devices + report.not_reached.len(), total);
    assert_eq!(seen.iter().copied().collect::<AddressRange>().union(&report.not_reached), range);
}

#[tokio::test(start_paused = true)]
async fn a_third_party_firmware_wins_over_the_stock_one() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    open_port(&cx, "10.0.0.1:4028", Port::Says(ACME, NOW), &log).await;
    let mut registry = registry();
    let third = Acme { stock: false, ..Acme::new("zeta", "9000", &[VERSION]) };
    registry.register(third);
    let outcome = probe_one(&cx, &registry, "10.0.0.1", Ports::default()).await.unwrap();
    assert!(matches!(outcome, Outcome::Device(Match { driver: "zeta", .. })), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn wrong_settings_are_named() {
    let cx = cx(MemNet::new());
    let field = |scan: Scan| scan.start().unwrap_err().fact("field").map(str::to_owned);
    assert_eq!(field(scan(&cx, "10.0.0.1").concurrency(0)).as_deref(), Some("concurrency"));
    let ports = Ports { web: 0, ..Ports::default() };
    assert_eq!(field(scan(&cx, "10.0.0.1").ports(ports)).as_deref(), Some("ports"));
    let empty = Scan::new(Arc::default(), cx.clone(), Ipv4Addr::LOCALHOST.into());
    assert_eq!(field(empty).as_deref(), Some("registry"));
    let nothing = Scan::new(Arc::new(registry()), cx, AddressRange::default());
    assert_eq!(nothing.start().unwrap().finish().await.total, 0);
}

#[test]
fn handles_can_cross_threads() {
    fn shareable<T: Send + Sync + 'static>() {}
    shareable::<(AddressRange, Scan, ScanStream, ScanProgress, ScanEvent, ScanReport)>();
    shareable::<(ReportListener, ReportStream, ReportEvent, Outcome)>();
    fn sendable<T: Send>(_: T) {}
    let (cx, registry) = (cx(MemNet::new()), registry());
    sendable(probe_one(&cx, &registry, "10.0.0.1", Ports::default()));
}

#[test]
fn outside_of_a_runtime_it_is_an_error() {
    let e = scan(&cx(MemNet::new()), "10.0.0.1").start().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Internal);
}

#[tokio::test(start_paused = true)]
async fn one_address_is_looked_at_like_a_scan() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    net.name("rack7-miner3", "10.0.0.1".parse().unwrap());
    net.silence("10.0.0.9".parse().unwrap());
    open_port(&cx, "10.0.0.1:4028", Port::Says(ACME, NOW), &log).await;
    let one = async |host: &str| probe_one(&cx, &registry(), host, Ports::default()).await;
    let Outcome::Device(device) = one(" rack7-miner3 ").await.unwrap() else { panic!() };
    assert_eq!(device.opts.get("address"), Some(&"rack7-miner3".into()));
    assert_eq!(one("10.0.0.5").await.unwrap(), Outcome::Silent { refused: true });
    assert_eq!(one("10.0.0.9").await.unwrap(), Outcome::Silent { refused: false });
    for wrong in ["", "10.0.0.300", "10.0.0", "10.0.0.1:4028", "http://x/", "a b", "\u{e9}"] {
        let e = one(wrong).await.unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("address")), "{wrong}");
    }
    assert_eq!(one("nowhere").await.unwrap_err().kind(), ErrorKind::Unreachable);
    let short = cx.deadline_in(Duration::from_millis(500));
    let e = probe_one(&short, &registry(), "10.0.0.9", Ports::default()).await.unwrap_err();
    assert_eq!((e.kind(), e.fact("address")), (ErrorKind::Timeout, Some("10.0.0.9")));
}
