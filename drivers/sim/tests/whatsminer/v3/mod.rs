//! API v3: a client of its own that frames, signs and encrypts by its own reading of the protocol.

mod client;
mod faults;
mod reads;
mod refusals;
mod shapes;
mod vectors;
mod writes;
