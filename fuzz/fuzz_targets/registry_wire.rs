//! What a record says of its schema.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_fuzz as _;
use osqdemo_registry_client::wire::{SchemaId, split, split_message_indexes, write_id, write_message_indexes};

fuzz_target!(|bytes: &[u8]| {
    if let Ok((SchemaId::Id(id), data)) = split(bytes) {
        let mut again = Vec::new();
        write_id(id, &mut again);
        again.extend_from_slice(data);
        assert_eq!(again, bytes);
        if let Ok((indexes, data)) = split_message_indexes(data) {
            let mut written = Vec::new();
            write_message_indexes(&indexes, &mut written);
            written.extend_from_slice(data);
            // The same in fewer bytes, where more were used than need be.
            assert_eq!(split_message_indexes(&written), Ok((indexes, data)));
        }
    }
});
