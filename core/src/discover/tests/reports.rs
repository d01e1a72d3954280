use super::*;

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const FREE: ReportPorts = ReportPorts { antminer: 0, whatsminer: 0 };

async fn bound(cx: &Ctx) -> (ReportListener, SocketAddr, SocketAddr) {
    let listener = ReportListener::bind(cx, ANY, FREE).await.unwrap();
    let ports = listener.ports();
    (listener, (ANY, ports.antminer).into(), (ANY, ports.whatsminer).into())
}

async fn sender(cx: &Ctx, ip: &str) -> Box<dyn Datagram> {
    cx.net.udp(SocketAddr::new(ip.parse().unwrap(), 0)).await.unwrap()
}

async fn report(stream: &mut ReportStream) -> IpReport {
    match stream.next().await {
        Some(ReportEvent::Report(report)) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn reports_reach_every_stream_from_one_socket() {
    let cx = cx(MemNet::new());
    let (listener, antminer, whatsminer) = bound(&cx).await;
    let (mut one, mut two) = (listener.subscribe(), listener.subscribe());
    let device = sender(&cx, "10.0.0.7").await;
    device.send_to(b"10.0.0.7,aa:bb:cc:dd:ee:ff", antminer).await.unwrap();
    device.send_to(b"OK\0\0\0\0\0\0\0\0", antminer).await.unwrap();
    device.send_to(b"\xff\xff", antminer).await.unwrap();
    device.send_to(&[b'1'; 600], antminer).await.unwrap();
    wait(&cx, Duration::from_millis(1)).await;
    let relay = sender(&cx, "10.9.9.9").await;
    relay.send_to(b"IP:10.0.0.8MAC:c8:11:05:00:0a:0b\0", whatsminer).await.unwrap();
    for stream in [&mut one, &mut two] {
        let first = report(stream).await;
        assert_eq!((first.family, first.ip), ("antminer", device.local_addr().ip()));
        assert_eq!(first.mac.as_deref(), Some("AA:BB:CC:DD:EE:FF"));
        assert!(!first.differs() && first.at == Timestamp(1_764_000_000_000));
        let second = report(stream).await;
        assert_eq!((second.family, second.ip.to_string().as_str()), ("whatsminer", "10.0.0.8"));
        assert!(second.differs() && second.sender == relay.local_addr());
    }
    let counts = listener.counts();
    assert_eq!((counts.received, counts.reports), (5, 2));
    assert_eq!((counts.acknowledgements, counts.malformed, counts.limited), (1, 2, 0));
    drop(listener);
    assert_eq!(one.next().await, None);
    // The ports are free again.
    wait(&cx, Duration::from_millis(1)).await;
    let ports = ReportPorts { antminer: antminer.port(), whatsminer: whatsminer.port() };
    let again = ReportListener::bind(&cx, ANY, ports).await.unwrap();
    assert_eq!(again.ports(), ports);
    assert_eq!(ReportListener::bind(&cx, ANY, ports).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_report_without_an_address_falls_back_to_its_sender() {
    let cx = cx(MemNet::new());
    let (listener, antminer, _) = bound(&cx).await;
    let mut stream = listener.subscribe();
    let device = sender(&cx, "10.0.0.7").await;
    device.send_to(b"0.0.0.0,aa:bb:cc:dd:ee:ff", antminer).await.unwrap();
    let report = report(&mut stream).await;
    assert_eq!((report.ip, report.reported_ip), (device.local_addr().ip(), None));
    assert!(!report.differs());
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_limited_and_counted() {
    let cx = cx(MemNet::new());
    let (listener, antminer, _) = bound(&cx).await;
    let mut stream = listener.subscribe();
    let flood = sender(&cx, "10.0.0.66").await;
    for _ in 0..500 {
        flood.send_to(b"10.0.0.1,aa:bb:cc:dd:ee:ff", antminer).await.unwrap();
    }
    let device = sender(&cx, "10.0.0.7").await;
    device.send_to(b"10.0.0.7,aa:bb:cc:dd:ee:ff", antminer).await.unwrap();
    for _ in 0..20 {
        assert!(report(&mut stream).await.differs());
    }
    assert_eq!(report(&mut stream).await.ip.to_string(), "10.0.0.7");
    assert_eq!((listener.counts().reports, listener.counts().limited), (21, 480));
    wait(&cx, Duration::from_secs(10)).await;
    flood.send_to(b"10.0.0.1,aa:bb:cc:dd:ee:ff", antminer).await.unwrap();
    report(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_come_is_told_what_it_missed() {
    let cx = cx(MemNet::new());
    let (listener, antminer, _) = bound(&cx).await;
    let mut lazy = listener.subscribe();
    let gone = listener.subscribe();
    drop(gone);
    for i in 0..300 {
        let device = sender(&cx, &format!("10.0.{}.{}", i / 200, i % 200 + 1)).await;
        device.send_to(b"10.0.0.7", antminer).await.unwrap();
    }
    wait(&cx, Duration::from_millis(1)).await;
    assert_eq!((listener.counts().reports, listener.counts().missed), (300, 44));
    assert_eq!(lazy.next().await, Some(ReportEvent::Missed(44)));
    for _ in 0..256 {
        assert_eq!(report(&mut lazy).await.mac, None);
    }
    drop(listener);
    assert_eq!(lazy.next().await, None);
}
