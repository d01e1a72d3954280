//! What an Antminer is asked on each poll.

use std::fmt::Write as _;

use headframe::Result;
use md5::{Digest, Md5};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{connect, failed};

/// The pages that an Antminer is asked for on each poll.
const PAGES: [&str; 3] = ["/cgi-bin/summary.cgi", "/cgi-bin/stats.cgi", "/cgi-bin/pools.cgi"];
const PORT: u16 = 14_080;

/// A connection to the web port, and the nonce it was given.
#[derive(Debug)]
pub(super) struct Web {
    address: String,
    keep: bool,
    stream: Option<TcpStream>,
    nonce: String,
    count: u32,
}

impl Web {
    pub fn new(address: &str, keep: bool) -> Self {
        Self { address: address.to_owned(), keep, stream: None, nonce: String::new(), count: 0 }
    }

    pub async fn poll(&mut self, buffer: &mut [u8]) -> Result<()> {
        for page in PAGES {
            self.get(page, buffer).await?;
        }
        if !self.keep {
            self.stream = None;
        }
        Ok(())
    }

    async fn get(&mut self, page: &str, buffer: &mut [u8]) -> Result<()> {
        for _ in 0..2 {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => connect(&self.address, PORT).await?,
            };
            let request = self.request(page);
            stream.write_all(request.as_bytes()).await.map_err(failed)?;
            let head = read(&mut stream, buffer).await?;
            self.stream = Some(stream);
            if !head.starts_with("HTTP/1.1 401") {
                return Ok(());
            }
            let nonce = head.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
            nonce.ok_or_else(|| failed("no nonce"))?.clone_into(&mut self.nonce);
            self.count = 0;
        }
        Err(failed("the credentials were refused"))
    }

    fn request(&mut self, page: &str) -> String {
        let mut text = format!("GET {page} HTTP/1.1\r\nHost: {}:{PORT}\r\n", self.address);
        if !self.nonce.is_empty() {
            self.count += 1;
            let (nonce, nc) = (&self.nonce, self.count);
            let ha1 = hex_md5("root:antMiner Configuration:root");
            let ha2 = hex_md5(&format!("GET:{page}"));
            let response = hex_md5(&format!("{ha1}:{nonce}:{nc:08x}:0a4f113b:auth:{ha2}"));
            text += &format!(
                "Authorization: Digest username=\"root\", realm=\"antMiner Configuration\", nonce=\"{nonce}\", \
                 uri=\"{page}\", qop=auth, nc={nc:08x}, cnonce=\"0a4f113b\", response=\"{response}\"\r\n"
            );
        }
        text += "\r\n";
        text
    }
}

/// Reads head and body; gives the head.
async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<String> {
    let mut have = 0;
    loop {
        let n = stream.read(&mut buffer[have..]).await.map_err(failed)?;
        have += n;
        if let Some(head) = buffer[..have].windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let whole = head + 4 + length.ok_or_else(|| failed("no Content-Length"))?;
            while have < whole {
                let n = stream.read(&mut buffer[have..]).await.map_err(failed)?;
                if n == 0 {
                    return Err(failed("cut body"));
                }
                have += n;
            }
            return Ok(text);
        }
        if n == 0 {
            return Err(failed("cut head"));
        }
    }
}

fn hex_md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ok = write!(hex, "{byte:02x}");
        hex
    })
}
