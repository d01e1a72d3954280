//! What was done, by whom and why: a log that cannot be changed without being noticed.
