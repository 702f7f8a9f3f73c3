//! What a record says of its schema.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;
use osqdemo_registry_client::wire::{SchemaId, split, write_id};

fuzz_target!(|bytes: &[u8]| {
    if let Ok((SchemaId::Id(id), data)) = split(bytes) {
        let mut again = Vec::new();
        write_id(id, &mut again);
        again.extend_from_slice(data);
        assert_eq!(again, bytes);
    }
});
