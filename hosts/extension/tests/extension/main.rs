//! The real extension between a fake osqueryd and librdkafka's mock cluster.

mod configuration;
mod connection;
mod disks;
mod encoding;
mod ends;
mod faults;
mod lines;
mod login;
mod platform;
mod reading;
mod real_kafka;
mod registration;
mod world;
