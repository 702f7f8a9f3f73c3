use super::*;

#[test]
fn what_can_pass_is_tried_again_and_what_cannot_is_not() {
    use RDKafkaErrorCode as Code;
    let of = |code| failure(&KafkaError::MessageProduction(code));
    for code in [
        Code::UnknownTopic,
        Code::UnknownPartition,
        Code::UnknownTopicOrPartition,
        Code::LeaderNotAvailable,
        Code::NotLeaderForPartition,
        Code::PreferredLeaderNotAvailable,
        Code::BrokerNotAvailable,
        Code::RequestTimedOut,
        Code::NetworkException,
        Code::NotEnoughReplicas,
        Code::NotEnoughReplicasAfterAppend,
        Code::KafkaStorageError,
        Code::InvalidMessage,
        Code::ThrottlingQuotaExceeded,
        Code::OutOfOrderSequenceNumber,
        Code::UnknownProducerId,
        Code::ClusterAuthorizationFailed,
        Code::SaslAuthenticationFailed,
        Code::Authentication,
        Code::MessageTimedOut,
        Code::BrokerTransportFailure,
        Code::AllBrokersDown,
        // A producer that gives way to another, or gave up.
        Code::PurgeQueue,
        Code::PurgeInflight,
        Code::Fatal,
        Code::Unknown,
    ] {
        assert!(matches!(of(code), Failure::Passing(_)), "{code:?}");
    }
    for code in [Code::MessageSizeTooLarge, Code::MessageBatchTooLarge] {
        assert!(matches!(of(code), Failure::TooLarge(_)), "{code:?}");
    }
    for code in [
        Code::TopicAuthorizationFailed,
        Code::InvalidTopic,
        Code::InvalidTimestamp,
        Code::InvalidRecord,
        Code::PolicyViolation,
        Code::UnsupportedForMessageFormat,
    ] {
        assert!(matches!(of(code), Failure::Final(_)), "{code:?}");
    }
    assert_eq!(
        of(Code::TopicAuthorizationFailed),
        Failure::Final("TopicAuthorizationFailed (Broker: Topic authorization failed)".to_owned()),
        "the reason that a dead letter carries"
    );
}
