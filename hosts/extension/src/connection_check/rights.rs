//! Whether the brokers let this principal write to topics, asked for without writing anything (KIP-430).
//!
//! `rdkafka` does not offer librdkafka's `DescribeTopics`, so it is called here directly.

#![expect(
    unsafe_code,
    reason = "librdkafka's own functions; every object is freed by the guard that is made with it"
)]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::bindings as librdkafka;
use rdkafka::client::{Client, ClientContext};

/// Frees an object of librdkafka's when it goes.
struct Freed<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Freed<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the pointer came from the function that goes with this one, and nothing uses it any more.
            unsafe { (self.1)(self.0) }
        }
    }
}

/// The topics among these that this principal may not write to, as far as the brokers say: those before Kafka 2.3, and
/// those without an authorizer, may say nothing.
pub(super) fn not_writable<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    patience: Duration,
) -> BTreeSet<String> {
    let names: Vec<CString> = topics
        .iter()
        .filter_map(|topic| CString::new(topic.as_str()).ok())
        .collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let native = client.native_ptr();
    let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `native` is a client for as long as `client` is borrowed, `pointers` are strings that end in a zero; both
    // outlive the calls, which copy what they need. What is made here is freed by its guard, in the opposite order.
    unsafe {
        let queue = Freed(
            librdkafka::rd_kafka_queue_new(native),
            librdkafka::rd_kafka_queue_destroy,
        );
        let options = Freed(
            librdkafka::rd_kafka_AdminOptions_new(
                native,
                librdkafka::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            ),
            librdkafka::rd_kafka_AdminOptions_destroy,
        );
        librdkafka::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            milliseconds,
            std::ptr::null_mut(),
            0,
        );
        let refused = librdkafka::rd_kafka_AdminOptions_set_include_authorized_operations(options.0, 1);
        drop(Freed(refused, librdkafka::rd_kafka_error_destroy));
        let wanted = Freed(
            librdkafka::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            librdkafka::rd_kafka_TopicCollection_destroy,
        );
        librdkafka::rd_kafka_DescribeTopics(native, wanted.0, options.0, queue.0);
        let event = Freed(
            librdkafka::rd_kafka_queue_poll(queue.0, milliseconds.saturating_add(1000)),
            librdkafka::rd_kafka_event_destroy,
        );
        if event.0.is_null() {
            return BTreeSet::new();
        }
        let result = librdkafka::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return BTreeSet::new();
        }
        let mut count = 0;
        let described = librdkafka::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let described = (0..count).map(|index| *described.add(index));
        described
            .filter(|topic| may_write(*topic) == Some(false))
            .map(|topic| {
                let name = CStr::from_ptr(librdkafka::rd_kafka_TopicDescription_name(topic));
                name.to_string_lossy().into_owned()
            })
            .collect()
    }
}

/// `None` when the brokers say nothing about it, also because the topic is not there.
///
/// # Safety
/// `topic` belongs to an event that is still there.
unsafe fn may_write(topic: *const librdkafka::rd_kafka_TopicDescription_t) -> Option<bool> {
    let mut count = 0;
    // SAFETY: the list belongs to the topic's description and has `count` members.
    unsafe {
        let operations = librdkafka::rd_kafka_TopicDescription_authorized_operations(topic, &mut count);
        if operations.is_null() || count == 0 {
            return None;
        }
        let write = librdkafka::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE;
        let all = librdkafka::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ALL;
        let operations = std::slice::from_raw_parts(operations, count);
        Some(operations.contains(&write) || operations.contains(&all))
    }
}
