use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use crate::rack::{Event, Subscription};

/// Readings of all racks of a site. No rack is preferred.
#[derive(Debug)]
pub struct Readings {
    racks: Vec<Subscription>,
    next: usize,
}

impl Readings {
    pub(super) fn new(racks: Vec<Subscription>) -> Self {
        Self { racks, next: 0 }
    }

    /// The next reading, with how many of that rack were missed before it; `None` when all racks were shut down.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Readings {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = &mut *self;
        let mut left = this.racks.len();
        while left > 0 {
            let at = this.next % this.racks.len();
            let Some(rack) = this.racks.get_mut(at) else { break };
            match Pin::new(rack).poll_next(cx) {
                Poll::Ready(Some(event)) => {
                    this.next = at + 1;
                    return Poll::Ready(Some(event));
                }
                // The place is taken by the next rack, which is asked now.
                Poll::Ready(None) => drop(this.racks.remove(at)),
                Poll::Pending => this.next = at + 1,
            }
            left -= 1;
        }
        if this.racks.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}
