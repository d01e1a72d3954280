//! Networks, hosts and drivers that misbehave.

use super::*;

/// A network that fails the first attempts to connect.
#[derive(Debug)]
struct Flaky {
    net: MemNet,
    attempts: Mutex<BTreeMap<SocketAddr, u32>>,
    failing: u32,
    how: Failure,
}

#[derive(Debug, Clone, Copy)]
enum Failure {
    /// The packet is lost.
    Lost,
    /// The process has no descriptor left.
    NoDescriptors,
}

#[async_trait]
impl Net for Flaky {
    async fn tcp(&self, at: SocketAddr) -> Result<BoxStream> {
        let attempt = {
            let mut attempts = self.attempts.lock().unwrap();
            let attempt = attempts.entry(at).or_default();
            *attempt += 1;
            *attempt
        };
        if attempt > self.failing {
            return self.net.tcp(at).await;
        }
        match self.how {
            Failure::Lost => std::future::pending().await,
            Failure::NoDescriptors => {
                let code = if cfg!(windows) { 10024 } else { 24 };
                let cause = std::io::Error::from_raw_os_error(code);
                Err(Error::new(ErrorKind::Unreachable, "net.tcp", cause.to_string()).caused_by(cause))
            }
        }
    }

    async fn udp(&self, at: SocketAddr) -> Result<Box<dyn Datagram>> {
        self.net.udp(at).await
    }

    async fn listen(&self, at: SocketAddr) -> Result<Box<dyn Listener>> {
        self.net.listen(at).await
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        self.net.resolve(host).await
    }
}

fn flaky(failing: u32, how: Failure) -> Ctx {
    cx(Flaky { net: MemNet::new(), attempts: Mutex::default(), failing, how })
}

#[tokio::test(start_paused = true)]
async fn what_the_network_lost_at_first_is_found_at_the_second_look() {
    let (cx, log) = (flaky(1, Failure::Lost), Log::default());
    open_port(&cx, "10.0.0.3:4028", Port::Says(ACME, NOW), &log).await;
    let mut stream = scan(&cx, "10.0.0.1-9").start().unwrap();
    assert_eq!(found(&all(&mut stream).await), ["10.0.0.3".parse::<Ipv4Addr>().unwrap()]);
    assert_eq!(stream.report().unwrap().silent, 8);

    let (cx, log) = (flaky(1, Failure::Lost), Log::default());
    open_port(&cx, "10.0.0.3:4028", Port::Says(ACME, NOW), &log).await;
    let report = scan(&cx, "10.0.0.1-9").second_look(false).start().unwrap().finish().await;
    assert_eq!((report.devices, report.silent), (0, 9));
    assert_eq!(report.took, Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_lack_of_descriptors_makes_no_address_silent() {
    let (cx, log) = (flaky(9, Failure::NoDescriptors), Log::default());
    open_port(&cx, "10.0.0.3:4028", Port::Says(ACME, NOW), &log).await;
    let report = scan(&cx, "10.0.0.1-9").start().unwrap().finish().await;
    assert_eq!((report.devices, report.refused), (1, 8));
    assert!(report.took > Duration::from_secs(2), "it waited");

    let cx = flaky(u32::MAX, Failure::NoDescriptors);
    let report = scan(&cx, "10.0.0.1-9").start().unwrap().finish().await;
    assert_eq!((report.silent, report.not_reached.to_string().as_str()), (0, "10.0.0.1-10.0.0.9"));
    assert!(report.took < Duration::from_secs(90));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_costs_its_budget_and_nobody_elses() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    open_port(&cx, "10.0.0.1:4028", Port::Hangs, &log).await;
    open_port(&cx, "10.0.0.1:80", Port::Hangs, &log).await;
    for i in 2..=20 {
        open_port(&cx, &format!("10.0.0.{i}:4028"), Port::Says(ACME, NOW), &log).await;
    }
    let mut stream = scan(&cx, "10.0.0.1-20").concurrency(2).start().unwrap();
    for _ in 2..=20 {
        assert!(matches!(stream.next().await, Some(ScanEvent::Found(_))));
        assert!(cx.clock.mono().since_origin() < Duration::from_secs(1));
    }
    let Some(ScanEvent::Unknown { unknown, .. }) = stream.next().await else { panic!() };
    assert_eq!(unknown.open_ports(), [(PortRole::Rpc, 4028), (PortRole::Web, 80)]);
    assert!(unknown.answers.iter().all(|a| a.said.ends_with("no reply in time")), "{unknown:?}");
    let budgets = Budgets::default();
    let most = budgets.connect + budgets.second_connect + 2 * budgets.address;
    let report = stream.finish().await;
    assert!(report.took <= most, "{report}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_everything_and_says_what_is_left() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    let range: AddressRange = "10.0.0.1-100".parse().unwrap();
    for ip in range.iter().skip(1) {
        net.silence(ip.into());
    }
    open_port(&cx, "10.0.0.1:4028", Port::Says(ACME, Duration::from_secs(4)), &log).await;
    let budget = Duration::from_millis(3500);
    let scan = scan(&cx, "10.0.0.1-100").concurrency(10).deadline(budget);
    let report = scan.start().unwrap().finish().await;
    assert_eq!(report.took, budget);
    assert_eq!((report.devices, report.unknown, report.silent), (0, 1, 0));
    assert_eq!(report.not_reached.to_string(), "10.0.0.2-10.0.0.100");
    assert!(report.to_string().ends_with("99 not reached"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_once_given_survives_the_deadline_and_a_silent_second_look() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    open_port(&cx, "10.0.0.1:80", Port::Says(PRINTER, NOW), &log).await;
    open_port(&cx, "10.0.0.1:4028", Port::Hangs, &log).await;
    let mut stream = scan(&cx, "10.0.0.1").start().unwrap();
    wait(&cx, Duration::from_secs(9)).await;
    net.silence("10.0.0.1".parse().unwrap());
    let Some(ScanEvent::Unknown { unknown, .. }) = stream.next().await else { panic!() };
    assert!(unknown.answers.iter().any(|a| a.said.contains("Printer")), "{unknown:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_or_dropped_scan_ends_at_once() {
    let net = MemNet::new();
    let range: AddressRange = "10.0.0.0/24".parse().unwrap();
    range.iter().for_each(|ip| net.silence(ip.into()));
    let cx = cx(net.clone());
    let mut stream = scan(&cx, "10.0.0.0/24").concurrency(8).start().unwrap();
    wait(&cx, Duration::from_millis(2500)).await;
    stream.stop();
    let report = stream.finish().await;
    assert_eq!(report.not_reached, range);
    assert_eq!(report.took, Duration::from_millis(2500));

    let stream = scan(&cx, "10.0.0.0/24").concurrency(8).start().unwrap();
    wait(&cx, Duration::from_millis(100)).await;
    drop(stream);
    let before = net.connections();
    wait(&cx, Duration::from_secs(60)).await;
    assert_eq!(net.connections(), before);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_takes_no_other_down() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    open_port(&cx, "10.0.0.1:4028", Port::Says(ACME, NOW), &log).await;
    open_port(&cx, "10.0.0.2:80", Port::Says(PRINTER, NOW), &log).await;
    let mut registry = registry();
    registry.register(Acme { panics: true, ..Acme::new("aaa", "X", &[VERSION]) });
    let range = "10.0.0.1-2".parse().unwrap();
    let mut stream = Scan::new(Arc::new(registry), cx.clone(), range).start().unwrap();
    let mut events = all(&mut stream).await;
    events.sort_by_key(ScanEvent::host);
    assert!(matches!(&events[0], ScanEvent::Found(f) if f.device.driver == "acme"), "{events:?}");
    let ScanEvent::Unknown { unknown, .. } = &events[1] else { panic!("{events:?}") };
    assert_eq!(unknown.reason.as_deref(), Some("failed while recognising: aaa"));
}

#[tokio::test(start_paused = true)]
async fn endless_replies_are_cut() {
    let (net, log) = (MemNet::new(), Log::default());
    let cx = cx(net.clone());
    open_port(&cx, "10.0.0.1:4028", Port::Floods("{"), &log).await;
    open_port(&cx, "10.0.0.1:80", Port::Floods("HTTP/1.1 200 OK\r\nServer: flood\r\n\r\n"), &log).await;
    let outcome = probe_one(&cx, &registry(), "10.0.0.1", Ports::default()).await.unwrap();
    let Outcome::Unknown(unknown) = outcome else { panic!("{outcome:?}") };
    assert!(unknown.answers.iter().all(|a| a.said.ends_with("no usable reply")), "{unknown:?}");
    assert_eq!(unknown.answers.len(), 3);
}
