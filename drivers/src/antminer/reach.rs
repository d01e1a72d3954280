//! How writes reach a machine: over clients of their own, with what earlier writes changed.

use std::net::{IpAddr, SocketAddr};

use headframe_core::{Error, ErrorKind, Result, Secret, codec::http::HttpClient, driver::Identity, io::Ctx};

use super::{thing::Machine, writer::Writer};

const OP: &str = "antminer.connect";

impl Machine {
    /// What writes left behind, if there was one.
    pub(super) fn writer(&self) -> Option<&Writer> {
        self.writer.get().map(|writer| &**writer)
    }

    /// The same, made now if there was none.
    pub(super) fn new_writer(&self) -> &Writer {
        self.writer.get_or_init(Box::default)
    }

    /// The password of the account.
    pub(super) fn password(&self) -> Secret {
        self.writer().and_then(Writer::password).unwrap_or_else(|| self.conf.password.clone())
    }

    /// Where the machine is.
    pub(super) async fn ip(&self, cx: &Ctx) -> Result<IpAddr> {
        if let Some(ip) = self.writer().and_then(Writer::address) {
            return Ok(ip);
        }
        let found = cx.within(OP, cx.net.resolve(&self.conf.address)).await?;
        found.first().copied().ok_or_else(|| {
            Error::new(ErrorKind::Unreachable, OP, "the name has no address").with("host", &self.conf.address)
        })
    }

    /// A client of the web interface at `ip`: nothing of it is shared with polls.
    pub(super) fn client(&self, ip: IpAddr, max_body: usize, password: Secret) -> HttpClient {
        self.client_on(ip, self.conf.port, max_body, password)
    }

    pub(super) fn client_on(&self, ip: IpAddr, port: u16, max_body: usize, password: Secret) -> HttpClient {
        let moved = self.writer().and_then(Writer::address).is_some();
        let host = if moved { host_of(ip, port) } else { self.conf.host_header(port) };
        HttpClient::new(SocketAddr::new(ip, port), &host)
            .credentials(&self.conf.username, password)
            .max_body(max_body)
    }

    /// A write told the machine to go from one address to another.
    pub(super) fn goes_to(&self, who: Identity, from: IpAddr, to: IpAddr) {
        self.new_writer().sent_to(who, from, to);
        self.forget_links();
    }

    /// Whether an error may mean that the machine is at its other address; the next look is there.
    pub(super) fn is_elsewhere(&self, e: &Error) -> bool {
        let strange = matches!(
            e.kind(),
            ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Unauthenticated | ErrorKind::Forbidden
        );
        strange && self.look_elsewhere()
    }

    /// Turns to the machine's other address, if it has one.
    pub(super) fn look_elsewhere(&self) -> bool {
        let elsewhere = self.writer().is_some_and(Writer::look_elsewhere);
        if elsewhere {
            self.forget_links();
        }
        elsewhere
    }

    /// The machine has another password now.
    pub(super) fn renew(&self, password: Secret) {
        self.new_writer().set_password(password);
        self.forget_links();
    }
}

fn host_of(ip: IpAddr, port: u16) -> String {
    match (ip, port) {
        (IpAddr::V4(ip), 80) => ip.to_string(),
        (IpAddr::V6(ip), 80) => format!("[{ip}]"),
        _ => SocketAddr::new(ip, port).to_string(),
    }
}
