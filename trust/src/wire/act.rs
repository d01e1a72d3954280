//! What is done to an exchange on its way between a driver and its device.

use std::time::Duration;

/// What becomes of one request and its reply.
#[derive(Debug, Clone)]
pub struct Act {
    /// What becomes of the request.
    pub request: Request,
    /// What the driver gets to read.
    pub reply: Reply,
}

impl Act {
    /// Nothing is done to it.
    pub const PASS: Self = Self { request: Request::Pass, reply: Reply::Pass };

    /// The device gets the request, and the driver this reply.
    pub const fn reply(reply: Reply) -> Self {
        Self { request: Request::Pass, reply }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The device gets it.
    Pass,
    /// The device gets nothing of it.
    Swallow,
    /// The device gets so many bytes, then the connection breaks on both sides.
    Cut(usize),
}

/// What becomes of a reply.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The driver gets it.
    Pass,
    /// The driver gets so many bytes of it.
    Cut(usize, End),
    /// The driver gets it after so long.
    Late(Duration),
    /// The whole reply is waited for, and this is made of it.
    Made(Make, End),
    /// The driver gets this, whatever the device says.
    Script(Script),
}

/// What is made of a whole reply.
#[derive(Debug, Clone)]
pub enum Make {
    /// It comes twice, in one piece.
    Twice,
    /// The first half of it.
    Half,
    /// Something else.
    Instead(Vec<u8>),
    /// Something before it.
    After(Vec<u8>),
    /// A field more in the head of a reply over HTTP.
    Field(&'static str),
}

impl Make {
    /// The bytes that the driver gets.
    pub fn of(&self, reply: &[u8]) -> Vec<u8> {
        match self {
            Self::Twice => [reply, reply].concat(),
            Self::Half => reply[..reply.len() / 2].to_vec(),
            Self::Instead(other) => other.clone(),
            Self::After(before) => [before, reply].concat(),
            Self::Field(field) => match reply.windows(2).position(|pair| pair == b"\r\n") {
                Some(end) => [&reply[..end + 2], field.as_bytes(), &reply[end..]].concat(),
                None => reply.to_vec(),
            },
        }
    }
}

/// How a connection ends after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Properly.
    Closed,
    /// By a reset.
    Reset,
    /// Not at all: nothing more comes.
    Silence,
    /// As the device ends it.
    AsItIs,
}

/// Bytes that are made while they are read, so that a flood needs no memory on the side of the check.
#[derive(Debug, Clone)]
pub struct Script {
    /// First these.
    pub head: Vec<u8>,
    /// Then this again and again.
    pub fill: &'static [u8],
    /// So many bytes of it.
    pub fill_bytes: u64,
    /// Then these.
    pub tail: Vec<u8>,
    /// The pause before each single byte.
    pub drip: Option<Duration>,
    /// How it ends.
    pub end: End,
    at: u64,
}

impl Script {
    /// These bytes, and then this end.
    pub fn new(head: impl Into<Vec<u8>>, end: End) -> Self {
        Self { head: head.into(), fill: b" ", fill_bytes: 0, tail: Vec::new(), drip: None, end, at: 0 }
    }

    /// So many bytes of `fill` after the head.
    #[must_use]
    pub const fn fill(mut self, fill: &'static [u8], bytes: u64) -> Self {
        (self.fill, self.fill_bytes) = (fill, bytes);
        self
    }

    /// These bytes behind all.
    #[must_use]
    pub fn tail(mut self, tail: impl Into<Vec<u8>>) -> Self {
        self.tail = tail.into();
        self
    }

    /// The next bytes into `room`; how many, 0 at the end.
    pub fn next(&mut self, room: &mut [u8]) -> usize {
        let mut done = 0;
        let limit = if self.drip.is_some() { room.len().min(1) } else { room.len() };
        while done < limit {
            let n = self.part(&mut room[done..limit]);
            if n == 0 {
                break;
            }
            done += n;
            self.at += n as u64;
        }
        done
    }

    fn part(&self, room: &mut [u8]) -> usize {
        let head = self.head.len() as u64;
        if self.at < head {
            return copy(&self.head, self.at, room);
        }
        let at = self.at - head;
        if at < self.fill_bytes {
            let left = usize::try_from(self.fill_bytes - at).unwrap_or(usize::MAX);
            let period = self.fill.len() as u64;
            let n = copy(self.fill, at % period, room);
            return n.min(left);
        }
        copy(&self.tail, at - self.fill_bytes, room)
    }
}

fn copy(from: &[u8], at: u64, room: &mut [u8]) -> usize {
    let rest = usize::try_from(at).ok().and_then(|at| from.get(at..)).unwrap_or_default();
    let n = rest.len().min(room.len());
    room[..n].copy_from_slice(&rest[..n]);
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_its_parts_in_order() {
        for room in [1, 3, 64] {
            let mut script = Script::new("ab", End::Closed).fill(b"xyz", 7).tail("!");
            let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
            loop {
                let n = script.next(&mut buffer);
                if n == 0 {
                    break;
                }
                all.extend_from_slice(&buffer[..n]);
            }
            assert_eq!(all, b"abxyzxyzx!");
        }
    }

    #[test]
    fn replies_are_made_of_replies() {
        let reply = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}";
        assert_eq!(Make::Half.of(b"abcd"), b"ab");
        assert_eq!(Make::Twice.of(b"ab"), b"abab");
        assert_eq!(Make::After(b"x".to_vec()).of(b"ab"), b"xab");
        let made = Make::Field("Connection: close").of(reply);
        assert_eq!(made, b"HTTP/1.1 200 OK\r\nConnection: close\r\nA: b\r\n\r\n{}");
    }
}
