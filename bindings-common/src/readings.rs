//! Readings in batches of those that are there.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_core::Stream as _;
use headframe::{rack::Event, site::Readings};

/// Waits for a reading, and gives it with all that are there already, `most` at a time; `None` at the end.
pub async fn next(readings: &mut Readings, most: usize) -> Option<Vec<Event>> {
    let mut batch = vec![readings.next().await?];
    poll_fn(|cx| {
        more(readings, most, &mut batch, cx);
        Poll::Ready(())
    })
    .await;
    Some(batch)
}

/// All readings that are there already, `most` at a time; `None` when there is none.
pub fn ready(readings: &mut Readings, most: usize) -> Option<Vec<Event>> {
    let mut batch = Vec::new();
    more(readings, most, &mut batch, &mut Context::from_waker(Waker::noop()));
    Some(batch).filter(|batch| !batch.is_empty())
}

fn more(readings: &mut Readings, most: usize, batch: &mut Vec<Event>, cx: &mut Context<'_>) {
    while batch.len() < most
        && let Poll::Ready(Some(event)) = Pin::new(&mut *readings).poll_next(cx)
    {
        batch.push(event);
    }
}
