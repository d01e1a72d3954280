//! Byte codecs shared by drivers.
