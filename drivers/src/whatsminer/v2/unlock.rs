//! The handshake of the vendor's partners that switches the write API on.

use std::{net::SocketAddr, time::Duration};

use headframe_core::{Error, ErrorKind, Result, Secret, io::Ctx};

use super::{
    crypto::{self, Key},
    link::{Answer, Link},
    packet::{Arg, Request, Verdict},
    token::Challenge,
};

const OP: &str = "whatsminer.unlock";
const WAIT: Duration = Duration::from_secs(15);

/// What is shown of it in receipts.
pub(super) const SHOWN: &str = r#"{"command":"open_write_api","client":"***","enable":true}"#;

/// Switches the write API on with a client's secret, which the operator has supplied. Whether it worked shows the
/// command that is tried next: what the device answers last is not the same everywhere.
///
/// # Errors
/// [`Forbidden`](ErrorKind::Forbidden) when the device does not begin the handshake, else those of the connection.
pub(super) async fn unlock(
    cx: &Ctx,
    at: SocketAddr,
    (client, secret): (&str, &str),
    password: &Secret,
) -> Result<()> {
    let mut link = Link::open(cx, at).await?;
    let hello = serde_json::json!({ "command": "open_write_api", "client": client, "enable": true });
    let reply = said(link.ask(cx, hello.to_string().as_bytes(), WAIT).await)?;
    let verdict = Verdict::read(&reply, &Key::of(""))?;
    if !verdict.is_ok() {
        let shown = Request::new("open_write_api").with("client", Arg::Secret(Secret::new(client)));
        let text = format!("the device refuses to be unlocked: {}", shown.scrub(&verdict.message));
        return Err(Error::new(ErrorKind::Forbidden, OP, text).with("address", at));
    }
    let challenge = Challenge::read(OP, &verdict)?;
    let token = answer(&challenge, secret, password);
    let proof = serde_json::json!({ "token": token });
    said(link.ask(cx, proof.to_string().as_bytes(), WAIT).await).map(|_| ())
}

fn answer(challenge: &Challenge, secret: &str, password: &Secret) -> String {
    let (time, salt, newsalt) = challenge.parts();
    let hash = crypto::md5crypt(password.expose().as_bytes(), salt);
    crypto::md5_hex(&[time, newsalt, secret, &hash])
}

fn said(answer: Answer) -> Result<Vec<u8>> {
    match answer {
        Answer::Reply(reply) => Ok(reply),
        Answer::Silent(e) | Answer::Failed(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn vector_with_a_made_up_partner() {
        let all: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/whatsminer/write_vectors.json"))
                .unwrap();
        let v = &all["unlock"];
        let of = |name: &str| v[name].as_str().unwrap();
        let message = json!({"time": of("time"), "salt": of("salt"), "newsalt": of("newsalt")});
        let reply = json!({"STATUS": "S", "Code": 131, "Msg": message}).to_string();
        let verdict = Verdict::read(reply.as_bytes(), &Key::of("")).unwrap();
        let challenge = Challenge::read(OP, &verdict).unwrap();
        let password = Secret::new(of("password"));
        assert_eq!(crypto::md5crypt(b"admin", of("salt")), of("pwd_hash"));
        assert_eq!(answer(&challenge, of("secret"), &password), of("token"));
        assert_eq!(json!({"token": of("token")}).to_string(), of("second_message"));
    }

    #[test]
    fn a_challenge_that_would_keep_us_busy_is_refused() {
        let long = "9".repeat(100_000);
        for message in [json!({"time": long, "salt": "a", "newsalt": "b"}), json!({"time": "1"}), json!("x")]
        {
            let reply = json!({"STATUS": "S", "Code": 131, "Msg": message}).to_string();
            let verdict = Verdict::read(reply.as_bytes(), &Key::of("")).unwrap();
            assert_eq!(Challenge::read(OP, &verdict).unwrap_err().kind(), ErrorKind::BadReply);
        }
    }
}
