//! Headframe.
