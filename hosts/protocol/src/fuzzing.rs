//! What must hold of the codec for any bytes, as functions that panic where it does not.
//!
//! For the fuzz targets in `fuzz/`; nothing of this is in a product build.

use crate::message::{Answer, Call};
use crate::types::{ExtensionInfo, PluginRequest, Registry};
use crate::wire::{Decoder, Header, MessageKind};
use crate::{ByteString, result_log};

/// A call that can be read is written and read back to the same call.
pub fn call(bytes: &[u8]) {
    let Ok((header, call)) = Call::decode(&mut Decoder::new(bytes)) else {
        return;
    };
    let written = call.encode(header.sequence);
    let (again, read) = Call::decode(&mut Decoder::new(&written[..])).expect("a written call can be read");
    assert_eq!((again.sequence, read), (header.sequence, call));
}

/// An answer that can be read, to whichever call the first byte chooses, reads back the same.
pub fn answer(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let calls = calls();
    let call = &calls[usize::from(*choice) % calls.len()];
    let Ok(answer) = Answer::decode(call, &mut Decoder::new(bytes)) else {
        return;
    };
    let header = Header {
        kind: MessageKind::Call,
        method: ByteString::from(call.method().as_bytes().to_vec()),
        sequence: 1,
    };
    let written = answer.encode(&header);
    let read = Answer::decode(call, &mut Decoder::new(&written[..])).expect("a written answer can be read");
    assert_eq!(read, answer);
}

/// The topic of a query with any name is a name that Kafka takes.
pub fn topic_name(query: &str) {
    if let Some(topic) = result_log::topic_name(query) {
        assert!(result_log::is_topic_name(&topic), "{topic:?}");
    }
}

fn calls() -> [Call; 9] {
    [
        Call::Ping,
        Call::Plugin {
            registry: ByteString::default(),
            item: ByteString::default(),
            request: PluginRequest::new(),
        },
        Call::Shutdown,
        Call::Extensions,
        Call::Options,
        Call::Register {
            info: ExtensionInfo::default(),
            registry: Registry::new(),
        },
        Call::Deregister { uuid: 1 },
        Call::Query {
            sql: ByteString::default(),
        },
        Call::QueryColumns {
            sql: ByteString::default(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_hold_for_random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64), query: String) {
            call(&bytes);
            answer(&bytes);
            topic_name(&query);
        }
    }
}
