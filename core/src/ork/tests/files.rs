//! Files of work orders, and a store of them in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{super::*, FRONT, Site, cx, store};
use crate::{auth::Principal, rack::Caller};

/// A store of files in memory. It takes each call's owner and author as they come.
#[derive(Debug, Default)]
pub struct MemFiles(Mutex<BTreeMap<String, (FileOwner, FileDraft, String)>>);

impl MemFiles {
    /// What it holds.
    pub fn state(&self) -> String {
        format!("{:?}", self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (FileOwner, FileDraft, String)>> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl FileStore for MemFiles {
    async fn store(&self, owner: &FileOwner, file: FileDraft, by: &Caller) -> Result<FileMeta> {
        let mut files = self.lock();
        let id = format!("f{}", files.len());
        let meta = FileMeta::of(&id, &file, cx().clock.wall());
        files.insert(id, (owner.clone(), file, by.user.clone()));
        Ok(meta)
    }

    async fn load(&self, owner: &FileOwner, id: &str) -> Result<Bytes> {
        let files = self.lock();
        let found = files.get(id).filter(|(of, ..)| of == owner);
        let missing =
            || Error::new(ErrorKind::NotFound, "files", "no such file").code_as("ERR_FILE_NOT_FOUND");
        found.map(|(_, file, _)| file.content.clone()).ok_or_else(missing)
    }

    async fn remove(&self, owner: &FileOwner, id: &str, _: &Caller) -> Result<bool> {
        let mut files = self.lock();
        let there = files.get(id).is_some_and(|(of, ..)| of == owner);
        Ok(there && files.remove(id).is_some())
    }
}

fn of(more: Value) -> Value {
    let mut body = json!({"type": "work_order", "rackId": FRONT, "workOrderId": "w1", "user": "boss@site"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn file(name: &str, content: &str) -> Value {
    of(json!({"name": name, "mime": "image/png", "contentBase64": content}))
}

#[tokio::test]
async fn files_of_work_orders_are_kept_given_and_removed() {
    let site = Site::new().await;
    let kept = site.call("storeFile", file("board.png", "AAEC")).await.unwrap();
    let ts = kept["ts"].as_i64().unwrap();
    assert_eq!(kept, json!({"id": "f0", "name": "board.png", "mime": "image/png", "size": 3, "ts": ts}));
    assert!(site.files.state().contains("ann@site"), "who is signed in, not who the body says");
    let one = of(json!({"fileId": "f0"}));
    assert_eq!(site.call("loadFile", one.clone()).await.unwrap(), json!({"contentBase64": "AAEC"}));
    let mut other = one.clone();
    other["workOrderId"] = "w2".into();
    assert_eq!(site.call("loadFile", other.clone()).await.unwrap_err().code(), "ERR_FILE_NOT_FOUND");
    assert_eq!(site.call("removeFile", other).await.unwrap(), json!({"cleared": false}));
    assert_eq!(site.call("removeFile", one.clone()).await.unwrap(), json!({"cleared": true}));
    assert_eq!(site.call("removeFile", one).await.unwrap(), json!({"cleared": false}));
    let empty = site.call("storeFile", file("empty.txt", "")).await.unwrap();
    assert_eq!(empty["size"], 0);
    let largest = base64(10 << 20);
    assert_eq!(site.call("storeFile", file("large.png", &largest)).await.unwrap()["size"], 10 << 20);
}

fn base64(n: usize) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(vec![7; n])
}

#[tokio::test]
async fn what_is_no_file_of_a_work_order_is_refused_by_field() {
    let site = Site::new().await;
    let before = site.state();
    for (member, value, code) in [
        ("type", json!("photo"), "ERR_TYPE_INVALID"),
        ("type", json!(7), "ERR_TYPE_INVALID"),
        ("rackId", json!(""), "ERR_RACK_ID_INVALID"),
        ("workOrderId", json!(null), "ERR_WORK_ORDER_ID_INVALID"),
        ("name", json!("../a"), "ERR_FILE_NAME_INVALID"),
        ("name", json!(".."), "ERR_FILE_NAME_INVALID"),
        ("name", json!("a\n"), "ERR_FILE_NAME_INVALID"),
        ("name", json!("x".repeat(256)), "ERR_FILE_NAME_INVALID"),
        ("mime", json!("png"), "ERR_FILE_MIME_INVALID"),
        ("mime", json!("image/"), "ERR_FILE_MIME_INVALID"),
        ("contentBase64", json!(null), "ERR_FILE_CONTENT_INVALID"),
        ("contentBase64", json!("hunter2!"), "ERR_FILE_CONTENT_INVALID"),
        ("contentBase64", json!(base64((10 << 20) + 1)), "ERR_FILE_TOO_LARGE"),
    ] {
        let mut body = file("a.png", "AAEC");
        body[member] = value.clone();
        let e = site.call("storeFile", body).await.unwrap_err();
        assert_eq!((e.code(), e.fact("field")), (code, Some(member)), "{member}");
        assert!(!format!("{e:?}").contains("hunter2"));
    }
    for method in ["loadFile", "removeFile"] {
        let e = site.call(method, of(json!({"fileId": ""}))).await.unwrap_err();
        assert_eq!((e.code(), e.fact("field")), ("ERR_FILE_ID_INVALID", Some("fileId")));
    }
    let mut elsewhere = file("a.png", "AAEC");
    elsewhere["rackId"] = "gone".into();
    assert_eq!(site.call("storeFile", elsewhere).await.unwrap_err().code(), "ERR_RACK_NOT_FOUND");
    // Whoever sees no miners sees no files of their racks.
    let blind = ["work_order:rw", "container:r"];
    let e = site.call_as(&blind, "storeFile", file("a.png", "AAEC")).await.unwrap_err();
    assert_eq!(e.code(), "ERR_RACK_NOT_FOUND");
    assert_eq!(site.state(), before);
}

#[tokio::test]
async fn without_a_store_there_are_no_files_and_no_firmware() {
    let bare = Orchestrator::open(&cx(), store().await, OrkOptions::default()).unwrap();
    let who = Principal::new("ann", Permissions::ALL);
    for method in ["storeFile", "loadFile", "removeFile"] {
        let e = bare.call(&who, method, &file("a.png", "AAEC").to_string()).await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::Unsupported, "ERR_NOT_CONFIGURED"), "{method}");
    }
    assert_eq!(bare.call(&who, "listFirmwares", "{}").await.unwrap(), json!([]));
    assert_eq!(bare.call(&who, "getConfigs", r#"{"type": "pool"}"#).await.unwrap(), json!([]));
    assert!(!format!("{:?}", FileDraft::new("a", "b/c", "hunter2")).contains("hunter2"), "bytes do not show");
}
