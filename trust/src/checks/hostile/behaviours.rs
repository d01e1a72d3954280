//! What hostile devices do.

use std::time::Duration;

use headframe_core::driver::Ports;

use crate::wire::{End, Script};

/// How a device behaves.
pub(super) struct Behaviour {
    /// Its name, which is also its probe.
    pub name: &'static str,
    /// What it does.
    pub how: How,
}

/// What a device does.
pub(super) enum How {
    /// Connections are never accepted.
    Unaccepted,
    /// It speaks before it is asked.
    Early,
    /// This is the reply, behind the length or the head that the protocol wants, telling so many bytes.
    Body(fn() -> Body),
    /// This is all that comes.
    Raw(fn(web: bool) -> Script),
}

/// What comes instead of a reply's contents.
pub(super) struct Body {
    script: Script,
    /// The length that is told, where it is not that of the contents.
    tells: Option<u64>,
    /// A field of the head.
    field: &'static str,
}

const MIB: u64 = 1 << 20;
/// A flood that nobody should read to its end.
const FLOOD: u64 = 96 * MIB;

fn body(head: impl Into<Vec<u8>>, end: End) -> Body {
    Body { script: Script::new(head, end), tells: None, field: "" }
}

/// All of them.
pub(super) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour { name: "hangs before it accepts", how: How::Unaccepted },
    Behaviour { name: "hangs after it accepted", how: How::Raw(|_| Script::new("", End::Silence)) },
    Behaviour {
        name: "drips",
        how: How::Body(|| {
            let mut body = body("{\"STATUS\":[{\"STATUS\":\"S\",\"Msg\":\"", End::Silence);
            body.script = body.script.fill(b"slowly ", MIB);
            body.script.drip = Some(Duration::from_secs(1));
            body.tells = Some(MIB);
            body
        }),
    },
    Behaviour {
        name: "endless",
        how: How::Raw(|_| Script::new("{\"a\":\"", End::Silence).fill(b"[x", FLOOD)),
    },
    Behaviour {
        name: "64 MiB",
        how: How::Body(|| {
            let mut body = body("{\"a\":\"", End::Closed);
            body.script = body.script.fill(b"0123456789abcdef", 64 * MIB).tail("\"}");
            body.tells = Some(64 * MIB + 8);
            body
        }),
    },
    Behaviour {
        name: "packed",
        how: How::Body(|| {
            let mut body = body(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec(), End::Closed);
            body.script = body.script.fill(b"\xed\xc1\x01\x0d\x00", 40_000);
            (body.tells, body.field) = (Some(40_010), "Content-Encoding: gzip\r\n");
            body
        }),
    },
    Behaviour {
        name: "nested 100,000 deep",
        how: How::Body(|| {
            let mut body = body("{\"STATUS\":", End::Closed);
            body.script = body.script.fill(b"[", 100_000).tail("]".repeat(100_000) + "}");
            body.tells = Some(200_011);
            body
        }),
    },
    Behaviour {
        name: "the same key again and again",
        how: How::Body(|| {
            let keys = r#"{"STATUS":"S","STATUS":"E","code":0,"code":-1,"msg":"ok","msg":{},"stats":"success","stats":"error""#;
            body(format!("{keys}{}}}", ",\"STATUS\":[{\"STATUS\":\"S\"}]".repeat(3_000)), End::Closed)
        }),
    },
    Behaviour {
        name: "no UTF-8",
        how: How::Body(|| {
            body(b"{\"STATUS\":\"\xff\xfe\xc0\x80\",\"msg\":\"\xed\xa0\x80\"}".to_vec(), End::Closed)
        }),
    },
    Behaviour {
        name: "1e999",
        how: How::Body(|| {
            let text = r#"{"STATUS":[{"STATUS":"S","Code":1e999,"When":-1e999}],"code":1e999,"msg":1e999,"SUMMARY":[{"Elapsed":1e999,"elapsed":1e999}]}"#;
            body(text, End::Closed)
        }),
    },
    Behaviour {
        name: "a flood of NULs",
        how: How::Raw(|_| Script::new("", End::Silence).fill(b"\0", FLOOD)),
    },
    Behaviour {
        name: "a length that lies",
        how: How::Body(|| {
            let mut body = body("{\"code\":0,\"msg\":\"ok\"}", End::Closed);
            body.tells = Some(0xffff_fff0);
            body
        }),
    },
    Behaviour { name: "closes at once", how: How::Raw(|_| Script::new("", End::Closed)) },
    Behaviour {
        name: "half of the JSON",
        how: How::Body(|| body("{\"STATUS\":[{\"STATUS\":\"S\",\"When\":17,\"Co", End::Closed)),
    },
    Behaviour { name: "a reply before the request", how: How::Early },
    Behaviour {
        name: "redirects for ever",
        how: How::Raw(|_| {
            let text =
                "HTTP/1.1 302 Found\r\nLocation: /cgi-bin/get_system_info.cgi\r\nContent-Length: 0\r\n\r\n";
            Script::new(text, End::Silence)
        }),
    },
    Behaviour {
        name: "a flood of fields",
        how: How::Raw(|web| {
            let head = if web { "HTTP/1.1 200 OK\r\n" } else { "STATUS=S," };
            Script::new(head, End::Closed)
                .fill(if web { b"X-Field: y\r\n" } else { b"KEY=VALUE,|" }, 24 * MIB)
        }),
    },
];

impl Body {
    /// As the protocol of the port wants it.
    fn at(self, port: u16) -> Script {
        let ports = Ports::simulated();
        let Script { head, .. } = &self.script;
        let tells = self.tells.unwrap_or(head.len() as u64);
        let before = if port == ports.web || port == ports.side {
            format!("HTTP/1.1 200 OK\r\n{}Content-Length: {tells}\r\n\r\n", self.field).into_bytes()
        } else if port == ports.v3 {
            u32::try_from(tells).unwrap_or(u32::MAX).to_le_bytes().to_vec()
        } else {
            Vec::new()
        };
        let mut script = self.script;
        script.head.splice(0..0, before);
        script
    }
}

impl Behaviour {
    /// What comes from a port.
    pub fn script(&self, port: u16) -> Script {
        match &self.how {
            How::Unaccepted => Script::new("", End::Silence),
            How::Early => {
                body("{\"STATUS\":[{\"STATUS\":\"S\"}],\"code\":0,\"msg\":\"ok\"}", End::Silence).at(port)
            }
            How::Body(make) => make().at(port),
            How::Raw(make) => make(port == Ports::simulated().web),
        }
    }
}
