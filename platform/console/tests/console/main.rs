//! The console in front of a real broker and a real ksqlDB server, asked over HTTP and looked at in a real browser.

mod answers;
mod api;
mod browser;
mod live;
mod looks;
mod walks;
mod world;
