use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol, TInputProtocol, TOutputProtocol, TType};

use super::*;

fn bytes() -> impl Strategy<Value = ByteString> {
    vec(any::<u8>(), 0..24).prop_map(ByteString::from)
}

fn row() -> impl Strategy<Value = PluginRequest> {
    btree_map(bytes(), bytes(), 0..4)
}

fn rows() -> impl Strategy<Value = PluginResponse> {
    vec(row(), 0..4)
}

fn info() -> impl Strategy<Value = ExtensionInfo> {
    (bytes(), bytes(), bytes(), bytes()).prop_map(|(name, version, sdk_version, min_sdk_version)| {
        ExtensionInfo {
            name,
            version,
            sdk_version,
            min_sdk_version,
        }
    })
}

fn status() -> impl Strategy<Value = Status> {
    (any::<i32>(), bytes(), any::<i64>()).prop_map(|(code, message, uuid)| Status {
        code: code.into(),
        message,
        uuid,
    })
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        Just(Call::Ping),
        Just(Call::Shutdown),
        Just(Call::Extensions),
        Just(Call::Options),
        (bytes(), bytes(), row()).prop_map(|(registry, item, request)| Call::Plugin {
            registry,
            item,
            request
        }),
        (info(), btree_map(bytes(), btree_map(bytes(), rows(), 0..3), 0..3))
            .prop_map(|(info, registry)| Call::Register { info, registry }),
        any::<i64>().prop_map(|uuid| Call::Deregister { uuid }),
        bytes().prop_map(|sql| Call::Query { sql }),
        bytes().prop_map(|sql| Call::QueryColumns { sql }),
    ]
}

/// A call and an answer that fits it.
fn exchange() -> impl Strategy<Value = (Call, Answer)> {
    let option = (bytes(), bytes(), bytes()).prop_map(|(value, default_value, kind)| OptionInfo {
        value,
        default_value,
        kind,
    });
    prop_oneof![
        status().prop_map(|status| (Call::Ping, Answer::Status(status))),
        (status(), rows()).prop_map(|(status, rows)| {
            (
                Call::Query {
                    sql: ByteString::default(),
                },
                Answer::Response(Response { status, rows }),
            )
        }),
        btree_map(any::<i64>(), info(), 0..3).prop_map(|map| (Call::Extensions, Answer::Extensions(map))),
        btree_map(bytes(), option, 0..3).prop_map(|map| (Call::Options, Answer::Options(map))),
        Just((Call::Shutdown, Answer::Nothing)),
        (call(), any::<i32>(), bytes())
            .prop_map(|(call, kind, message)| (call, Answer::Exception { kind, message })),
    ]
}

proptest! {
    #[test]
    fn a_call_survives_the_wire(call in call(), sequence in any::<i32>()) {
        let message = call.encode(sequence);
        let mut decoder = Decoder::new(message.as_slice());
        let (header, decoded) = Call::decode(&mut decoder).unwrap();
        prop_assert_eq!(header.sequence, sequence);
        prop_assert_eq!(decoder.consumed(), message.len());
        prop_assert_eq!(decoded, call);
    }

    #[test]
    fn an_answer_survives_the_wire((call, answer) in exchange()) {
        let (header, _) = Call::decode(&mut Decoder::new(call.encode(7).as_slice())).unwrap();
        let message = answer.encode(&header);
        prop_assert_eq!(Answer::decode(&call, &mut Decoder::new(message.as_slice())).unwrap(), answer);
    }

    #[test]
    fn a_cut_call_is_incomplete(call in call(), cut in any::<prop::sample::Index>()) {
        let message = call.encode(1);
        let part = &message[..cut.index(message.len())];
        prop_assert!(matches!(Call::decode(&mut Decoder::new(part)), Err(ProtocolError::Truncated)));
    }

    #[test]
    fn no_bytes_panic(noise in vec(any::<u8>(), 0..200), call in call()) {
        let _ = Call::decode(&mut Decoder::new(noise.as_slice()));
        let _ = Answer::decode(&call, &mut Decoder::new(noise.as_slice()));
    }

    /// Noise rarely looks like a message; a message with a few wrong bytes gets much further.
    #[test]
    fn no_damaged_message_panics(
        call in call(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut message = call.encode(1);
        for (place, byte) in damage {
            let place = place.index(message.len());
            message[place] = byte;
        }
        let _ = Call::decode(&mut Decoder::new(message.as_slice()));
        let _ = Answer::decode(&call, &mut Decoder::new(message.as_slice()));
    }

    /// The Thrift project's own library reads what is written here.
    #[test]
    fn apache_thrift_reads_a_plugin_call(request in row(), sequence in any::<i32>()) {
        let call = Call::Plugin { registry: "logger".into(), item: "confluent_logger".into(), request: request.clone() };
        let message = call.encode(sequence);
        let mut input = TBinaryInputProtocol::new(message.as_slice(), true);
        let header = input.read_message_begin().unwrap();
        prop_assert_eq!((header.name.as_str(), header.sequence_number), ("call", sequence));
        input.read_struct_begin().unwrap();
        for (id, expected) in [(1, "logger"), (2, "confluent_logger")] {
            let field = input.read_field_begin().unwrap();
            prop_assert_eq!((field.field_type, field.id), (TType::String, Some(id)));
            prop_assert_eq!(input.read_string().unwrap(), expected);
        }
        prop_assert_eq!(input.read_field_begin().unwrap().field_type, TType::Map);
        let map = input.read_map_begin().unwrap();
        prop_assert_eq!(map.size as usize, request.len());
        for (name, value) in &request {
            prop_assert_eq!(&input.read_bytes().unwrap(), name.as_bytes());
            prop_assert_eq!(&input.read_bytes().unwrap(), value.as_bytes());
        }
        prop_assert_eq!(input.read_field_begin().unwrap().field_type, TType::Stop);
    }
}

/// What the Thrift project's own library writes is read here, with fields that this API does not have.
#[test]
fn a_reply_of_apache_thrift_is_read() {
    use thrift::protocol::{
        TFieldIdentifier, TListIdentifier, TMessageIdentifier, TMessageType, TStructIdentifier,
    };

    let mut message = Vec::new();
    let mut output = TBinaryOutputProtocol::new(&mut message, true);
    output
        .write_message_begin(&TMessageIdentifier::new("ping", TMessageType::Reply, 3))
        .unwrap();
    output
        .write_field_begin(&TFieldIdentifier::new("success", TType::Struct, 0))
        .unwrap();
    output
        .write_struct_begin(&TStructIdentifier::new("ExtensionStatus"))
        .unwrap();
    output
        .write_field_begin(&TFieldIdentifier::new("later", TType::List, 9))
        .unwrap();
    output
        .write_list_begin(&TListIdentifier::new(TType::Double, 1))
        .unwrap();
    output.write_double(1.5).unwrap();
    output
        .write_field_begin(&TFieldIdentifier::new("code", TType::I32, 1))
        .unwrap();
    output.write_i32(2).unwrap();
    output
        .write_field_begin(&TFieldIdentifier::new("message", TType::String, 2))
        .unwrap();
    output.write_bytes(b"\xff").unwrap();
    output.write_field_stop().unwrap();
    output.write_field_stop().unwrap();

    let answer = Answer::decode(&Call::Ping, &mut Decoder::new(message.as_slice())).unwrap();
    let expected = Status {
        code: crate::StatusCode::Fatal,
        message: vec![0xff].into(),
        uuid: 0,
    };
    assert_eq!(answer, Answer::Status(expected));
}

#[test]
fn lengths_that_lie_cost_nothing() {
    let mut string = Encoder::message(MessageKind::Call, b"query", 1);
    string.field(Kind::String, 1);
    string.i32(200 * 1024 * 1024);
    let mut negative = Encoder::message(MessageKind::Call, b"query", 1);
    negative.field(Kind::String, 1);
    negative.i32(-1);
    let mut list = Encoder::message(MessageKind::Call, b"unheard", 1);
    list.field(Kind::List, 1);
    list.list_of(Kind::Struct, usize::MAX);
    let cases = [(string, "closed"), (negative, "negative"), (list, "closed")];
    for (message, expected) in cases {
        let error = Call::decode(&mut Decoder::new(message.into_bytes().as_slice())).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut message = Encoder::message(MessageKind::Call, b"unheard", 1);
    for _ in 0..10_000 {
        message.field(Kind::Struct, 1);
    }
    let error = Call::decode(&mut Decoder::new(message.into_bytes().as_slice())).unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}
