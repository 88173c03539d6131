//! TLS libraries: plaintext on its way in and out, by uprobes that user space places.

mod lifetime;
mod read;
mod write;
