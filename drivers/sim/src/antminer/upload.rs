//! The part of `multipart/form-data` that the firmware upload needs.

/// The content of the part with this name; `None` when the body is no such form or lacks the part.
pub(super) fn part<'a>(content_type: &str, body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = rest.split(';').find_map(|p| p.trim().strip_prefix("boundary="))?.trim_matches('"');
    let dashes = format!("--{boundary}");
    let mut rest = &body[find(body, dashes.as_bytes())? + dashes.len()..];
    let delimiter = format!("\r\n{dashes}");
    let wanted = format!("name=\"{name}\"");
    // After the last part two dashes follow instead of a line end.
    while let Some(inside) = rest.strip_prefix(b"\r\n") {
        let end = find(inside, delimiter.as_bytes())?;
        let head_end = find(inside, b"\r\n\r\n").filter(|at| *at <= end)?;
        let head = String::from_utf8_lossy(&inside[..head_end]);
        if head.split([';', '\r', '\n']).any(|member| member.trim() == wanted) {
            return inside.get(head_end + 4..end);
        }
        rest = &inside[end + delimiter.len()..];
    }
    None
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    #[test]
    fn finds_the_named_part() {
        let body = b"--XX\r\nContent-Disposition: form-data; name=\"keep\"\r\n\r\n1\r\n--XX\r\n\
            Content-Disposition: form-data; name=\"firmware\"; filename=\"a.bmu\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n\x00\r\n\xff\r\n--XX--\r\n";
        assert_eq!(part(TYPE, body, "firmware"), Some(&b"\x00\r\n\xff"[..]));
        assert_eq!(part(TYPE, body, "keep"), Some(&b"1"[..]));
        assert_eq!(part(TYPE, body, "a.bmu"), None);
        assert_eq!(part("application/json", body, "firmware"), None);
    }

    #[test]
    fn broken_bodies_have_no_part() {
        for body in
            [&b""[..], b"--XX", b"--XX\r\n", b"--XX\r\nname=\"firmware\"\r\n--XX--", b"--XX\r\n\r\n\r\nabc"]
        {
            assert_eq!(part(TYPE, body, "firmware"), None);
        }
    }
}
