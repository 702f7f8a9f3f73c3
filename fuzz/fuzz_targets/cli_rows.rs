//! Rows of a query as the client reads them: the same however the network cuts them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo::ksqldb::rows::{Decoder, Item};
use osqdemo_fuzz as _;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let (left, right) = bytes.split_at(bytes.len().min(usize::from(*cut)));
    for decoder in [Decoder::rows, Decoder::lines] {
        assert_eq!(read(decoder(), &[left, right]), read(decoder(), &[bytes]));
    }
});

/// The items and whether the answer was complete; `None` where it is malformed.
fn read(mut decoder: Decoder, chunks: &[&[u8]]) -> Option<(Vec<Item>, bool)> {
    for chunk in chunks {
        decoder.feed(chunk).ok()?;
    }
    let complete = decoder.finish();
    Some((std::iter::from_fn(|| decoder.next_item()).collect(), complete))
}
