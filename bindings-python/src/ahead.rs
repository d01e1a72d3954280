//! Waiting that takes nothing: whoever gives up waiting loses nothing of what comes then.

/// A source, and what came of it and was not taken yet.
#[derive(Debug)]
pub struct Ahead<S, T> {
    pub source: S,
    came: Option<T>,
}

impl<S, T> Ahead<S, T> {
    pub const fn new(source: S) -> Self {
        Self { source, came: None }
    }

    /// Waits until there is something; `false` at the end. Between what `next` gives and its keeping nothing waits.
    pub async fn ready(&mut self, next: impl AsyncFnOnce(&mut S) -> Option<T>) -> bool {
        if self.came.is_none() {
            self.came = next(&mut self.source).await;
        }
        self.came.is_some()
    }

    /// What is there.
    pub fn take(&mut self) -> Option<T> {
        self.came.take()
    }
}
