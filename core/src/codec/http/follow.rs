//! A planted bug: redirects are followed, with body and credentials.

use super::{Call, HttpClient, HttpReply};
use crate::io::Ctx;

/// Sends `call` again to where `reply` points, as a careless client does.
pub(super) async fn redirect(client: &HttpClient, cx: &Ctx, call: &Call, reply: &HttpReply) {
    if !(300..400).contains(&reply.status) {
        return;
    }
    let location = reply.headers.get("location").and_then(|l| l.to_str().ok());
    let Some(target) = location.and_then(|l| l.parse::<http::Uri>().ok()) else { return };
    let host = target.authority().map_or(client.at.to_string(), ToString::to_string);
    let Ok(at) = host.parse() else { return };
    let path = target.path_and_query().map_or("/", |p| p.as_str());
    let mut other = HttpClient::new(at, &host);
    other.account = client.account.clone();
    let kind = call.content_type.as_ref().and_then(|k| k.to_str().ok()).unwrap_or_default();
    let again = if call.is_write() {
        Box::pin(other.post(cx, path, kind, call.body.clone())).await
    } else {
        Box::pin(other.get(cx, path)).await
    };
    tracing::debug!(followed = again.is_ok(), "redirected");
}
